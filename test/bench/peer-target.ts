import { randomUUID } from "node:crypto";
import WebSocket from "ws";
import { z } from "zod";
import type { Load } from "./load.ts";
import type { StreamTarget } from "./stream-target.ts";

export type PeerTarget = StreamTarget & {
  /** Has a load streamed as its own client library does: with the whole conversation so far in the request. */
  beginNext(socket: WebSocket, conversation: string, load: Load): Promise<void>;
  /** How many rows a conversation has written since this was last asked. */
  rowsWritten(conversation: string): Promise<number>;
};

const messages = z.array(z.unknown());
const stats = z.object({ rowsWritten: z.int() });

/**
 * An agent of Cloudflare's Agents SDK. Its model is made inside its object: no network lies between the two and nothing
 * is parsed, both of which Turnpike and the floor have to do; and it makes no delta while its object is busy.
 */
export function peerTarget(url: string, agent: string): PeerTarget {
  const send = (socket: WebSocket, history: unknown[], { deltas, delayMs, size }: Load) => {
    const text = JSON.stringify({ n: deltas, delay: delayMs, size });
    const message = { id: randomUUID(), role: "user", parts: [{ type: "text", text }] };
    const body = JSON.stringify({ messages: [...history, message], trigger: "submit-message" });
    const init = { method: "POST", body };
    socket.send(JSON.stringify({ type: "cf_agent_use_chat_request", id: randomUUID(), init }));
  };
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}.`);
    return response.json();
  };
  const isOfStream = (frame: Buffer) => frame.includes('"cf_agent_use_chat_response"');
  return {
    name: agent,
    create: () => Promise.resolve(`/agents/${agent}/${randomUUID()}`),
    open(path) {
      const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, { perMessageDeflate: false });
      return new Promise((resolve, reject) => {
        const closed = (code: number) => reject(new Error(`${agent} closed a socket with ${code} as it was opened.`));
        const take = (frame: Buffer) => {
          // The last of its greeting.
          if (!frame.includes('"cf_agent_mcp_servers"')) return;
          socket.off("message", take).off("close", closed);
          resolve(socket);
        };
        socket.on("message", take).once("close", closed).once("error", reject);
      });
    },
    begin: (socket, load) => send(socket, [], load),
    async beginNext(socket, path, load) {
      send(socket, messages.parse(await get(`${path}/get-messages`)), load);
    },
    async rowsWritten(path) {
      return stats.parse(await get(`${path}/stats?reset=1`)).rowsWritten;
    },
    isOfStream,
    isText: (frame) => frame.includes("text-delta"),
    isEnd: (frame) => frame.includes('"done":true') && isOfStream(frame),
    isComplete: (frame) => !frame.includes('"error"'),
    acknowledgement: () => null,
    now: Date.now,
    ticksOfMs: 1,
  };
}
