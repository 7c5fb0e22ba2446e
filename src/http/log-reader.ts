import * as z from "zod";
import { logError } from "../logging/log.ts";
import { bytesOf } from "../protocol/bytes-of.ts";
import { GatewayError } from "../protocol/errors.ts";
import { CLOSE_CODES, type ClientFrame } from "../protocol/frames.ts";
import { ACK_EVERY_BYTES, ACK_EVERY_MS, TOGETHER_MAX_BYTES } from "../protocol/limits.ts";
import { type Pauses, pauseAfter } from "../timing/pause-after.ts";
import { sleep } from "../timing/sleep.ts";
import { FrameQueue } from "./frame-queue.ts";

/** An event as its object sent it: `json` is the whole of it, the rest is what its readers look at. */
export type LogFrame = { cursor: string; turn_id: string | null; type: string; json: string };

/** Opens a socket on the log after a cursor. */
export type OpenSocket = (after: string) => Promise<WebSocket>;

/** A socket that lived this long was a good one, even if the session was quiet. */
const GOOD_SOCKET_MS = 10_000;
/** Attempts to go on, since the last frame or good socket. After that the client had better ask again itself. */
const RETRIES_MAX = 8;
const PAUSES: Pauses = { firstMs: 100, longestMs: 8_000 };

const FINAL_CODES: readonly (number | null)[] = [
  CLOSE_CODES.unauthenticated,
  CLOSE_CODES.no_session,
  CLOSE_CODES.deleted,
];

/**
 * Follows a session's log over a socket, and goes on over another one whenever it drops: an eviction, a deploy, or too
 * much that was not taken. Frames that have come go together, so that a long log is no long row of little steps. They
 * count as taken when the next ones are asked for; only what was taken is acknowledged.
 * Ends when the session is gone, when `signal` aborts, or when the object cannot be reached any more.
 *
 * @throws GatewayError what the first socket was refused with
 */
export async function openLog(
  open: OpenSocket,
  { after, signal }: { after: string; signal: AbortSignal },
): Promise<AsyncGenerator<LogFrame[], void>> {
  return followLog(readFrom(await open(after), after, signal), open, after, signal);
}

/** How far the reader's own client is, and how often the log could not be followed since. */
type Position = { cursor: string; failures: number };

async function* followLog(
  first: FrameQueue,
  open: OpenSocket,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<LogFrame[], void> {
  const position: Position = { cursor: after, failures: 0 };
  let frames: FrameQueue | null = first;
  while (frames !== null) {
    const openedAt = Date.now();
    yield* readSocket(frames, position);
    if (Date.now() - openedAt >= GOOD_SOCKET_MS) position.failures = 0;
    if (FINAL_CODES.includes(frames.closeCode)) return;
    frames = await reopen(open, position, signal);
  }
}

/** Yields what comes over one socket. */
async function* readSocket(frames: FrameQueue, position: Position): AsyncGenerator<LogFrame[], void> {
  let ackedAt = Date.now();
  let takenBytes = 0;
  try {
    for (;;) {
      const came = await frames.next(TOGETHER_MAX_BYTES);
      if (came.length === 0) return;
      const events = came.flatMap((frame) => frame.split("\n").map(parseEvent)).filter((event) => event !== null);
      const last = events.at(-1);
      if (last === undefined) continue;
      yield events;
      // Asked for the next ones, so these were taken.
      position.cursor = last.cursor;
      position.failures = 0;
      for (const { json } of events) takenBytes += bytesOf(json);
      if (takenBytes >= ACK_EVERY_BYTES || Date.now() - ackedAt >= ACK_EVERY_MS) {
        acknowledge(frames, last.cursor);
        ackedAt = Date.now();
        takenBytes = 0;
      }
    }
  } finally {
    frames.close();
  }
}

/** A new socket from where the reader is, or null when there is none to be had. */
async function reopen(open: OpenSocket, position: Position, signal: AbortSignal): Promise<FrameQueue | null> {
  for (;;) {
    if (signal.aborted || position.failures === RETRIES_MAX) return null;
    try {
      await sleep(pauseAfter(position.failures++, PAUSES), signal);
      return readFrom(await open(position.cursor), position.cursor, signal);
    } catch (thrown) {
      if (signal.aborted || thrown instanceof GatewayError) return null;
      logError("following the log", thrown, "warn");
    }
  }
}

function readFrom(socket: WebSocket, cursor: string, signal: AbortSignal): FrameQueue {
  const frames = new FrameQueue(socket, signal);
  // Said at once, since a socket that never acknowledged anything may fall further behind, in our memory.
  acknowledge(frames, cursor);
  return frames;
}

function acknowledge(frames: FrameQueue, cursor: string): void {
  frames.send(JSON.stringify({ type: "ack", data: { cursor } } satisfies ClientFrame));
}

/** How the log writes an event: what a reader looks at stands first, and none of it has anything escaped. */
const HEAD = /^\{"seq":\d+,"cursor":"([^"\\]*)","type":"([^"\\]*)","turn_id":(?:null|"([^"\\]*)"),/;
const envelope = z.object({ cursor: z.string(), turn_id: z.string().nullable(), type: z.string() });

/** Null for what is no event. */
function parseEvent(json: string): LogFrame | null {
  // All of a large event need not be parsed to pass it on.
  const [, cursor, type, turn_id = null] = HEAD.exec(json) ?? [];
  if (cursor !== undefined && type !== undefined) return { cursor, turn_id, type, json };
  const parsed = envelope.safeParse(JSON.parse(json));
  return parsed.success ? { ...parsed.data, json } : null;
}
