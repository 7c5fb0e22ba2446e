import { once } from "node:events";
import WebSocket from "ws";
import { API_BASE } from "../../src/protocol/paths.ts";
import { session } from "../../src/protocol/rest.ts";
import type { GatewayProcess } from "../support/gateway-process.ts";
import { type Load, nowMicros } from "./load.ts";

/** Something that streams a load to many sockets, so that all of them are driven alike. */
export type StreamTarget = {
  name: string;
  /** A new conversation; returns what `open` takes. */
  create(): Promise<string>;
  /** A socket on a conversation, ready to hear what happens from now on. */
  open(conversation: string): Promise<WebSocket>;
  /** Has the load streamed. */
  begin(socket: WebSocket, load: Load): void;
  /** Whether a frame goes to every client alike. */
  isOfStream(frame: Buffer): boolean;
  /** Whether a frame brings text of the answer. */
  isText(frame: Buffer): boolean;
  /** Whether a frame is the last one of what was begun. */
  isEnd(frame: Buffer): boolean;
  /** Whether the last frame says that all has gone well. */
  isComplete(frame: Buffer): boolean;
  /** What a client says after so many bytes of events, of which this is the last frame; null where there is nothing to say. */
  acknowledgement(frame: Buffer): string | null;
  /** The clock that its deltas' heads are of, in ticks of its own. */
  now(): number;
  ticksOfMs: number;
};

/** The gateway, over the WebSocket of a session. */
export function gatewayTarget({ url, token }: GatewayProcess): StreamTarget {
  const headers = { authorization: `Bearer ${token}` };
  return {
    name: "Turnpike",
    async create() {
      const response = await fetch(`${url}${API_BASE}/sessions`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: "{}",
      });
      if (response.status !== 201) throw new Error(`POST /sessions answered ${response.status}.`);
      return session.parse(await response.json()).session_id;
    },
    async open(id) {
      const socket = new WebSocket(`${url.replace("http", "ws")}${API_BASE}/sessions/${id}/stream`, {
        headers,
        perMessageDeflate: false,
      });
      await once(socket, "message");
      return socket;
    },
    begin: (socket, load) =>
      socket.send(JSON.stringify({ type: "execute", data: { user_input: JSON.stringify(load) } })),
    isOfStream: isEvent,
    isText: (frame) => headOf(frame).includes('"type":"TEXT"'),
    isEnd: (frame) => headOf(frame).includes('"type":"ITERATION_END"'),
    isComplete: (frame) => frame.includes('"status":"complete"'),
    acknowledgement: acknowledgementOf,
    now: nowMicros,
    ticksOfMs: 1_000,
  };
}

/** The bare object that broadcasts. */
export function floorTarget(url: string): StreamTarget {
  let conversations = 0;
  return {
    name: "a bare object that broadcasts",
    create: () => Promise.resolve(`/${conversations++}`),
    async open(path) {
      const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, { perMessageDeflate: false });
      await once(socket, "open");
      return socket;
    },
    begin: (socket, load) => socket.send(JSON.stringify(load)),
    isOfStream: () => true,
    isText: (frame) => frame.includes("text_delta"),
    isEnd: (frame) => frame.includes('"message_stop"'),
    isComplete: () => true,
    acknowledgement: () => null,
    now: nowMicros,
    ticksOfMs: 1_000,
  };
}

/** Whether a frame of the gateway's is an event. */
export function isEvent(frame: Buffer): boolean {
  return frame.toString("latin1", 0, 6) === '{"seq"';
}

/** What a client says that took everything up to an event. */
export function acknowledgementOf(frame: Buffer): string | null {
  const cursor = /"cursor":"([^"]+)"/.exec(headOf(frame))?.[1];
  return cursor === undefined ? null : `{"type":"ack","data":{"cursor":"${cursor}"}}`;
}

/** Where an event says what it is; to look through all of a frame would take longer than to receive it. */
function headOf(frame: Buffer): string {
  return frame.toString("latin1", 0, 200);
}
