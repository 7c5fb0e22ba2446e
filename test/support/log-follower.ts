import { expect } from "vitest";
import type { Event } from "../../src/protocol/events.ts";

/** What a log holds at one seq, as far as a client can tell. */
export type Entry =
  | { kind: "event"; data: unknown }
  | { kind: "block"; text: string; done: boolean; discarded: boolean };

const DISCARDED: Entry = { kind: "block", text: "", done: true, discarded: true };

/**
 * A client that believes its cursor: it shows what it is given and refuses any event or character that comes twice, out
 * of order or after a hole.
 */
export class LogFollower {
  readonly entries = new Map<number, Entry>();
  position: string;
  /** What is on its way and may still be lost. */
  onTheWay: Event[] = [];
  #highest: number;

  constructor(position: string, highest: number) {
    this.position = position;
    this.#highest = highest;
  }

  /** Takes so many of the frames that are on their way. */
  receive(count: number): void {
    for (const event of this.onTheWay.splice(0, count)) this.take(event);
  }

  take(event: Event): void {
    this.position = event.cursor;
    if (event.type === "TEXT" || event.type === "THINKING") this.#takePiece(event);
    else {
      expect(event.seq, `an event after ${this.#highest}`).toBe(this.#highest + 1);
      this.entries.set(event.seq, { kind: "event", data: event.data });
      for (const seq of discardsOf(event)) if (this.entries.has(seq)) this.entries.set(seq, DISCARDED);
    }
    this.#highest = Math.max(this.#highest, event.seq);
  }

  #takePiece({ seq, data }: Extract<Event, { type: "TEXT" | "THINKING" }>): void {
    const known = this.entries.get(seq);
    if (known === undefined) expect(seq, `a block after ${this.#highest}`).toBe(this.#highest + 1);
    if (data.discarded === true) {
      this.entries.set(seq, DISCARDED);
      return;
    }
    const before = known ?? { kind: "block", text: "", done: false, discarded: false };
    if (before.kind !== "block") throw new Error(`${seq} was no block before`);
    expect(before.done, `a piece of block ${seq} after its end`).toBe(false);
    expect(data.offset, `the next piece of block ${seq}`).toBe(before.text.length);
    const piece = "text" in data ? data.text : data.thinking;
    expect(known === undefined || piece !== "" || data.done, `a piece of block ${seq} that says nothing`).toBe(true);
    this.entries.set(seq, { kind: "block", text: before.text + piece, done: data.done, discarded: false });
  }
}

function discardsOf({ type, data }: Event): number[] {
  if (type === "ERROR") return data.discard ?? [];
  return type === "STATUS" && "discard" in data ? data.discard : [];
}
