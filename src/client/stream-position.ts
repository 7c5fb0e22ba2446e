import type { Event, EventOf } from "../protocol/events.ts";
import { ACK_EVERY_BYTES, ACK_EVERY_MS } from "../protocol/limits.ts";

type BlockEvent = EventOf<"TEXT"> | EventOf<"THINKING">;

/**
 * Where a reader stands in a session's log, over as many connections as it takes: which events, and which characters
 * of the open block, are new; where to resume; when to acknowledge. Knows no socket and no clock.
 *
 * A cursor is opaque, so what was had is told by `seq` and `offset` alone.
 */
export class StreamPosition {
  #cursor: string | null;
  /** The lowest and the highest seq that were seen. */
  #first = Number.POSITIVE_INFINITY;
  #highest = 0;
  /** The block seen last; `next` is the offset of the first character that is still to come. */
  #block: { seq: number; next: number; done: boolean } | null = null;
  #unacknowledged = 0;
  #acknowledgedAt: number;

  /** `cursor` null: from wherever the first connection begins. `now` in milliseconds. */
  constructor(cursor: string | null, now: number) {
    this.#cursor = cursor;
    this.#acknowledgedAt = now;
  }

  /** Where the next connection resumes; null before anything is known. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** A connection begins at the log's end `cursor`. Only a reader that has no position of its own starts there. */
  begin(cursor: string): void {
    this.#cursor ??= cursor;
  }

  /** What of a received event is new: all of it, the rest of its text, or nothing (null). */
  take(event: Event): Event | null {
    const fresh = event.type === "TEXT" || event.type === "THINKING" ? this.#takeBlock(event) : this.#takeWhole(event);
    if (fresh === null) return null;
    this.passOver(event);
    return fresh;
  }

  /** An event that was not understood is had, too: it is not asked for again. */
  passOver({ seq, cursor }: { seq: number; cursor: string }): void {
    this.#first = Math.min(this.#first, seq);
    this.#highest = Math.max(this.#highest, seq);
    this.#cursor = cursor;
  }

  /** Counts a frame that was used up. Returns the cursor to acknowledge when it is time to. */
  acknowledge(bytes: number, now: number): string | null {
    this.#unacknowledged += bytes;
    if (this.#unacknowledged < ACK_EVERY_BYTES && now - this.#acknowledgedAt < ACK_EVERY_MS) return null;
    this.#unacknowledged = 0;
    this.#acknowledgedAt = now;
    return this.#cursor;
  }

  #takeWhole(event: Event): Event | null {
    return event.seq > this.#highest ? event : null;
  }

  #takeBlock(event: BlockEvent): BlockEvent | null {
    // A block below everything seen was open where this reader began; its rest may come after later events.
    const isNew = event.seq > this.#highest || event.seq < this.#first;
    if (isNew) this.#block = { seq: event.seq, next: event.data.offset, done: false };
    const block = this.#block;
    if (block?.seq !== event.seq) return null;
    const fresh = from(event, block.next);
    const text = textOf(fresh);
    if (text === "" && (!fresh.data.done || block.done)) return null;
    block.next = fresh.data.offset + text.length;
    block.done = fresh.data.done;
    return fresh;
  }
}

function textOf(event: BlockEvent): string {
  return event.type === "TEXT" ? event.data.text : event.data.thinking;
}

/** The event without the characters before `offset`. */
function from(event: BlockEvent, offset: number): BlockEvent {
  const skip = offset - event.data.offset;
  if (skip <= 0 || event.data.discarded) return event;
  return event.type === "TEXT"
    ? { ...event, data: { ...event.data, text: event.data.text.slice(skip), offset } }
    : { ...event, data: { ...event.data, thinking: event.data.thinking.slice(skip), offset } };
}
