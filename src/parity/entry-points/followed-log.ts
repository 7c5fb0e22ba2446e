import { setTimeout as pause } from "node:timers/promises";
import type { Event } from "../../protocol/events.ts";

/** A stream that has brought nothing new for this long is taken to bring nothing more. */
const QUIET_MS = 5_000;

/** A live stream of a session's log, read as it comes. It has to be left. */
export class FollowedLog {
  readonly #leaving: AbortController;
  readonly #reading: Promise<void>;
  readonly #events: Event[] = [];
  #ended = false;
  #failure: unknown = null;
  #heard: () => void = () => undefined;

  /** Aborting `leaving` must end `source`. */
  constructor(source: AsyncIterable<Event>, leaving: AbortController) {
    this.#leaving = leaving;
    this.#reading = this.#read(source);
  }

  /**
   * What came up to the event with this seq. If that never comes: what did come, once the stream has ended or is quiet.
   *
   * @throws what the stream throws, and the signal's reason
   */
  async upTo(seq: number): Promise<Event[]> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      this.#leaving.signal.throwIfAborted();
      if (this.#ended || this.#events.some((event) => event.seq >= seq)) return [...this.#events];
      if (!(await this.#hearsMore())) return [...this.#events];
    }
  }

  async leave(): Promise<void> {
    this.#leaving.abort(new Error("the log was left"));
    await this.#reading;
  }

  async #hearsMore(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#heard = () => resolve(true);
    const waiting = new AbortController();
    const quiet = pause(QUIET_MS, false, { signal: waiting.signal }).catch(() => false);
    try {
      return await Promise.race([promise, quiet]);
    } finally {
      waiting.abort();
    }
  }

  async #read(source: AsyncIterable<Event>): Promise<void> {
    try {
      for await (const event of source) {
        this.#events.push(event);
        this.#heard();
      }
    } catch (thrown) {
      if (!this.#leaving.signal.aborted) this.#failure = thrown;
    }
    this.#ended = true;
    this.#heard();
  }
}

/** A controller that the play's end aborts too. */
export function leavingWith(signal: AbortSignal): AbortController {
  const leaving = new AbortController();
  if (signal.aborted) leaving.abort(signal.reason);
  else signal.addEventListener("abort", () => leaving.abort(signal.reason), { once: true });
  return leaving;
}
