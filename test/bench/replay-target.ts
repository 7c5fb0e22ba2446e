import { once } from "node:events";
import WebSocket from "ws";
import { API_BASE } from "../../src/protocol/paths.ts";
import { acknowledgementOf, isEvent } from "./stream-target.ts";

/** As the client library does. */
const ACK_EVERY_BYTES = 256 * 1024;
export const PAGE_EVENTS = 1_000;

/** A log that can be read from a position to its end. */
export type Log = {
  name: string;
  /** The address of the log; each way adds its query. */
  url: string;
  headers: Record<string, string>;
  /** Whether its clients say over a socket what they took. */
  acknowledges: boolean;
  /** The position that is read after, and that of the log's end. */
  after: string;
  last: string;
  /** What stands at the log's address for each way. */
  paths: { socket: string; events: string };
};

/** The log of a session. */
export function gatewayLog(
  { url, token }: { url: string; token: string },
  id: string,
  { after, last }: { after: string; last: string },
): Log {
  return {
    name: "Turnpike",
    url: `${url}${API_BASE}/sessions/${id}`,
    headers: { authorization: `Bearer ${token}` },
    acknowledges: true,
    after,
    last,
    paths: { socket: "/stream", events: "/events" },
  };
}

/** The same events as rows of a bare object. */
export async function floorLog(url: string, frames: readonly string[]): Promise<Log> {
  const address = `${url}/replay`;
  const stored = await fetch(address, { method: "PUT", body: frames.join("\n") });
  if (!stored.ok) throw new Error(`The bare object answered ${stored.status}.`);
  await stored.arrayBuffer();
  return {
    name: "a bare object",
    url: address,
    headers: {},
    acknowledges: false,
    after: "0",
    last: `${frames.length}`,
    paths: { socket: "", events: "" },
  };
}

/** One way of reading all of a log. Returns what it took in ms, and the events. */
export type Way = (log: Log, count: number) => Promise<{ ms: number; frames: string[] }>;

/** Over a WebSocket, which says what it took as the client library does. */
export const overSocket: Way = async ({ url, headers, paths, after, acknowledges }, count) => {
  const frames: Buffer[] = [];
  let unacked = 0;
  const started = performance.now();
  const socket = new WebSocket(`${url.replace("http", "ws")}${paths.socket}?after=${after}`, {
    headers,
    perMessageDeflate: false,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on("message", (frame: Buffer) => {
        if (!isEvent(frame)) return;
        frames.push(frame);
        unacked += frame.byteLength;
        if (acknowledges && unacked >= ACK_EVERY_BYTES) {
          unacked = 0;
          const said = acknowledgementOf(frame);
          if (said !== null) socket.send(said);
        }
        if (frames.length === count) resolve();
      });
      socket.once("close", (code) => reject(new Error(`The socket was closed with ${code}.`)));
      socket.once("error", reject);
    });
    return { ms: performance.now() - started, frames: frames.map((frame) => frame.toString()) };
  } finally {
    socket.terminate();
    await once(socket, "close");
  }
};

/** As server-sent events, which do not end by themselves. */
export const overEventStream: Way = async ({ url, headers, paths, after, last }) => {
  const end = Buffer.from(`\nid: ${last}\n`);
  const reading = new AbortController();
  const chunks: Uint8Array[] = [];
  const started = performance.now();
  const response = await fetch(`${url}${paths.events}?after=${after}`, {
    headers: { ...headers, accept: "text/event-stream" },
    signal: reading.signal,
  });
  let tail = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    // Looked for where it can be alone: to look through everything would take longer than to receive it.
    tail = Buffer.concat([tail, chunk]).subarray(-4_096);
    if (tail.indexOf(end) >= 0 && tail.subarray(-2).toString() === "\n\n") break;
  }
  const ms = performance.now() - started;
  reading.abort();
  const text = Buffer.concat(chunks).toString();
  return { ms, frames: [...text.matchAll(/^data: (.*)$/gm)].map(([, frame = ""]) => frame) };
};

/** Page by page. */
export const inPages: Way = async ({ url, headers, paths, after }, count) => {
  const pages: string[] = [];
  const started = performance.now();
  let cursor: string | undefined = after;
  for (let read = 0; read < count && cursor !== undefined; read += PAGE_EVENTS) {
    const response = await fetch(`${url}${paths.events}?after=${cursor}&limit=${PAGE_EVENTS}`, { headers });
    const page = await response.text();
    pages.push(page);
    cursor = /"next_cursor":"([^"]+)"/.exec(page.slice(-200))?.[1];
  }
  const ms = performance.now() - started;
  const events = pages.flatMap((page): unknown[] => JSON.parse(page).events);
  return { ms, frames: events.map((event) => JSON.stringify(event)) };
};
