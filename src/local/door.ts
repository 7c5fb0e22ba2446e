import type { Event } from "../protocol/events.ts";
import type { Cancelled } from "../protocol/rest.ts";

/** The part of a held session that other processes may use. */
export type DoorSession = {
  /**
   * Sends everything after a cursor before it returns, then what comes; what it returns ends that. `send` returns
   * false once nobody listens any more.
   *
   * @throws GatewayError `bad_cursor`
   */
  follow(after: string, send: (json: string) => boolean): () => void;
  /** Cancels the running turn; resolves once it has stopped. */
  cancel(): Promise<Cancelled>;
};

export type DoorOptions = {
  /** How long a visitor may take to say what it wants. */
  requestTimeoutMs?: number;
};

/**
 * Lets other processes of the same user follow a session that this process holds: the caller has its claim. At
 * disposal visitors still get what was sent to them, then the door is gone.
 *
 * @throws GatewayError `invalid_request` for a path that is too long for this system
 */
export function openDoor(_path: string, _session: DoorSession, _options: DoorOptions = {}): Promise<AsyncDisposable> {
  throw new Error("not built yet");
}

/**
 * The events of a session that another process holds, after a cursor, then live. Ends when the connection does: the
 * holder has gone, or this reader was too far behind. Whoever wants more asks who holds the session now.
 *
 * @throws GatewayError for a refusal, such as `bad_cursor`; the signal's reason
 */
export function followDoor(_path: string, _after: string, _signal?: AbortSignal): AsyncGenerator<Event> {
  throw new Error("not built yet");
}

/**
 * Has the holder of a session cancel its running turn; resolves once that has stopped. Null if nobody answers: the
 * holder has gone.
 *
 * @throws GatewayError for a refusal; the signal's reason
 */
export function cancelThroughDoor(_path: string, _signal?: AbortSignal): Promise<Cancelled | null> {
  throw new Error("not built yet");
}
