import type { GatewayError } from "../protocol/errors.ts";
import { type Event, event as eventSchema } from "../protocol/events.ts";
import type { EventLog } from "../session/event-log.ts";

/** How much of the log is in memory for one reader. */
export type FeedLimits = {
  /** Events of the past that are read at once, and characters of them as JSON. */
  stretch: number;
  stretchChars: number;
  /** Live events that a reader may leave lying; one that is further behind reads them from the log. */
  unread: number;
};

const LIMITS: FeedLimits = { stretch: 500, stretchChars: 1_000_000, unread: 1_000 };

/**
 * Hands the events of a session's log to whoever reads in this process, each at its own pace. What a reader does, or
 * leaves undone, changes nothing for the log and for other readers.
 */
export class EventFeed {
  readonly #readers = new Set<LiveReader>();
  readonly #sinks = new Set<Sink>();
  readonly #limits: FeedLimits;
  #ended: GatewayError | null = null;

  constructor(limits: FeedLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Takes what the log broadcasts. Never throws. */
  push(event: Event): void {
    for (const reader of this.#readers) reader.push(event);
    if (this.#sinks.size === 0) return;
    const json = JSON.stringify(event);
    for (const sink of this.#sinks) if (!sink.send(json)) this.#sinks.delete(sink);
  }

  /** Nothing comes any more: readers that have everything throw `why`. */
  end(why: GatewayError): void {
    this.#ended ??= why;
    for (const reader of this.#readers) reader.end();
  }

  /**
   * Sends everything after a cursor before it returns, and then what comes, until what it returns is called.
   *
   * @throws GatewayError `bad_cursor`
   */
  send(log: EventLog, after: string, send: Sink["send"]): () => void {
    const sink = { send };
    for (const { json } of log.replay(after)) if (!send(json)) return () => undefined;
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  /**
   * The events of the log after a cursor, and then what is added, each once. Ends only by throwing or being left.
   *
   * @throws GatewayError `bad_cursor`, what the feed was ended with, or the signal's reason
   */
  async *follow(log: EventLog, after: string, signal: AbortSignal): AsyncGenerator<Event, never> {
    let cursor = after;
    for (;;) {
      signal.throwIfAborted();
      if (this.#ended !== null) throw this.#ended;
      // Nothing else runs between the last look at the past and the first at the present.
      const { events, isWhole } = stretchOf(log, cursor, this.#limits);
      const live = isWhole ? new LiveReader(this.#limits.unread, signal) : null;
      if (live !== null) this.#readers.add(live);
      try {
        for (const event of events) {
          cursor = event.cursor;
          yield event;
          signal.throwIfAborted();
        }
        for (let event = await live?.next(); event !== undefined; event = await live?.next()) {
          cursor = event.cursor;
          // Its own: what one reader does with an event is nothing to another.
          yield structuredClone(event);
        }
      } finally {
        if (live !== null) this.#readers.delete(live);
        live?.leave();
      }
    }
  }
}

/** Takes each event as JSON. Never throws, and returns false once nobody listens any more. */
type Sink = { send(json: string): boolean };

/** The next events of the past, and whether they are all that there are. */
function stretchOf(
  log: EventLog,
  after: string,
  { stretch, stretchChars }: FeedLimits,
): { events: Event[]; isWhole: boolean } {
  const events: Event[] = [];
  let chars = 0;
  for (const { json } of log.replay(after)) {
    if (events.length === stretch || chars > stretchChars) return { events, isWhole: false };
    events.push(eventSchema.parse(JSON.parse(json)));
    chars += json.length;
  }
  return { events, isWhole: true };
}

/** The live events that one reader has yet to take. */
class LiveReader {
  readonly #signal: AbortSignal;
  readonly #max: number;
  readonly #unread: Event[] = [];
  #ended = false;
  #wake: () => void = () => undefined;
  readonly #onAbort = () => this.#wake();

  constructor(max: number, signal: AbortSignal) {
    this.#max = max;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  push(event: Event): void {
    if (this.#ended) return;
    if (this.#unread.length === this.#max) this.#ended = true;
    else this.#unread.push(event);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Undefined when no more will come; the log says what there is. One caller at a time. @throws the signal's reason */
  async next(): Promise<Event | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      const event = this.#unread.shift();
      if (event !== undefined || this.#ended) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  leave(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}
