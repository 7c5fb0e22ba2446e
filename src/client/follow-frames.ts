import { GatewayError } from "../protocol/errors.ts";
import { EVENT_TYPES, type Event } from "../protocol/events.ts";
import { CLOSE_CODES, type ServerFrame } from "../protocol/frames.ts";
import { sleep } from "../timing/sleep.ts";
import { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { StreamPosition } from "./stream-position.ts";

/** Without an event for this long while connections fail, a stream gives up. */
export const GIVE_UP_AFTER_MS = 60_000;
/** A connection that lived this long was a good one, even if the session was quiet. */
const GOOD_CONNECTION_MS = 10_000;

export type StreamSource = {
  /** Starts a connection; `after` null asks for live events only. Null where trying again may help. */
  connect(after: string | null): Promise<Connection | null>;
  /** @throws GatewayError why connections to this position are refused, where trying again does not help */
  requireAccess(after: string | null): Promise<void>;
  /** Each connection has a right of its own: the end of one that was good is not that of the next. */
  hasTickets: boolean;
};

export type StreamOptions = {
  /** A cursor; null to begin with what comes from now on. */
  after: string | null;
  signal: AbortSignal;
  giveUpAfterMs?: number | undefined;
  /** Called on each connection once it is ready to be sent frames. */
  onConnected?: (connection: Connection) => void;
};

/**
 * What a session's socket sends, over as many connections as it takes: each event once, each character of a block
 * once, and the other frames as they come. Acknowledges what was taken. A connection that ended is replaced only
 * when everything that it brought was taken, so a slow reader holds at most what one connection may bring.
 *
 * @throws GatewayError for a refusal, `unavailable` after `giveUpAfterMs` without progress
 */
export async function* followFrames(source: StreamSource, options: StreamOptions): AsyncGenerator<ServerFrame> {
  const { signal, onConnected, giveUpAfterMs = GIVE_UP_AFTER_MS } = options;
  const position = new StreamPosition(options.after, Date.now());
  const backoff = new Backoff(giveUpAfterMs);
  for (;;) {
    signal.throwIfAborted();
    const connection = await source.connect(position.cursor);
    let connectedAt: number | null = null;
    if (connection !== null) {
      const hangUp = () => connection.close();
      signal.addEventListener("abort", hangUp);
      try {
        // It may have been aborted while the connection was begun.
        signal.throwIfAborted();
        for (let got = await connection.next(); got !== null; got = await connection.next()) {
          signal.throwIfAborted();
          if ("passedOver" in got) {
            backoff.progress();
            position.passOver(got.passedOver);
          } else if (isEvent(got.frame)) {
            const fresh = position.take(got.frame);
            if (fresh !== null) {
              backoff.progress();
              yield fresh;
              // It is the last of all; the end of the connection may be seconds away.
              if (isDeletion(fresh)) throw deleted();
            }
          } else {
            if (got.frame.type === "connected") {
              connectedAt = Date.now();
              const { cursor } = got.frame.data;
              position.begin(cursor);
              // Said at once, so that the gateway waits for this client instead of filling its memory for it.
              connection.send({ type: "ack", data: { cursor } });
              onConnected?.(connection);
            }
            yield got.frame;
            continue;
          }
          const cursor = position.acknowledge(got.bytes, Date.now());
          if (cursor !== null) connection.send({ type: "ack", data: { cursor } });
        }
      } finally {
        signal.removeEventListener("abort", hangUp);
        connection.close();
      }
      signal.throwIfAborted();
      const final = closedForGood(connection.closeCode, source.hasTickets && connectedAt !== null);
      if (final !== null) throw final;
      if (connectedAt === null) await source.requireAccess(position.cursor);
    }
    if (connectedAt !== null && Date.now() - connectedAt >= GOOD_CONNECTION_MS) backoff.progress();
    const pause = backoff.pause(Date.now());
    if (pause === null) throw new GatewayError("unavailable", "The connection was lost and could not be restored.");
    await sleep(pause, signal);
  }
}

/** All events of a session after a cursor, as `followFrames` gives them. Ends only by throwing or being left. */
export async function* followEvents(source: StreamSource, options: StreamOptions): AsyncGenerator<Event> {
  for await (const frame of followFrames(source, options)) if (isEvent(frame)) yield frame;
}

const EVENTS: ReadonlySet<string> = new Set(EVENT_TYPES);

/** Tells the events of the log from the other frames. */
export function isEvent(frame: ServerFrame): frame is Event {
  return EVENTS.has(frame.type);
}

function closedForGood(code: number | null, mayRenew: boolean): GatewayError | null {
  switch (code) {
    case CLOSE_CODES.unauthenticated:
      if (mayRenew) return null;
      return new GatewayError("unauthenticated", "The gateway closed the connection: a valid token is needed.");
    case CLOSE_CODES.no_session:
      return new GatewayError("not_found", "There is no such session.");
    case CLOSE_CODES.deleted:
      return deleted();
    default:
      return null;
  }
}

function isDeletion({ type, data }: Event): boolean {
  return type === "STATUS" && data.status === "deleted";
}

function deleted(): GatewayError {
  return new GatewayError("not_found", "The session was deleted.");
}
