import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamPosition } from "../../src/client/stream-position.ts";
import { formatCursor, parseCursor } from "../../src/protocol/cursors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { ACK_EVERY_BYTES, ACK_EVERY_MS } from "../../src/protocol/limits.ts";

const TIMESTAMP = "2026-10-01T00:00:00.000Z";

type Entry =
  | { kind: "text" | "thinking"; text: string; done: boolean; discarded: boolean }
  | { kind: "status"; discard: number[] };

/** A session's log as SPEC.md describes it, with its live frames and its replay. */
class ReferenceLog {
  readonly entries: Entry[] = [];
  readonly live: Event[] = [];
  #open: number | null = null;
  #uncommitted: number[] = [];

  write(kind: "text" | "thinking", text: string): void {
    const open = this.#open === null ? undefined : this.entries[this.#open - 1];
    if (this.#open === null || open?.kind !== kind) {
      this.endBlock();
      this.entries.push({ kind, text: "", done: false, discarded: false });
      this.#open = this.entries.length;
      this.#uncommitted.push(this.#open);
    }
    const block = this.#block(this.#open ?? 0);
    const offset = block.text.length;
    block.text += text;
    this.#send(this.#piece(this.#open ?? 0, offset));
  }

  endBlock(): void {
    if (this.#open === null) return;
    const seq = this.#open;
    this.#block(seq).done = true;
    this.#open = null;
    this.#send(this.#piece(seq, this.#block(seq).text.length));
  }

  status(discard: number[] = []): void {
    this.entries.push({ kind: "status", discard });
    this.#send(this.#event(this.entries.length, 0));
  }

  commit(): void {
    this.endBlock();
    this.#uncommitted = [];
  }

  dropStep(): void {
    for (const seq of this.#uncommitted) Object.assign(this.#block(seq), { text: "", done: true, discarded: true });
    this.#open = null;
    this.status(this.#uncommitted);
    this.#uncommitted = [];
  }

  replay(after: string): Event[] {
    const cursor = parseCursor(after);
    if (cursor === null) throw new Error("bad cursor");
    const events: Event[] = [];
    let sent = cursor.seq;
    const add = (event: Event) => {
      sent = Math.max(sent, event.seq);
      events.push({ ...event, cursor: this.#cursor(sent) });
    };
    if (cursor.block !== undefined) {
      const block = this.#block(cursor.block.seq);
      if (block.done || block.text.length > cursor.block.offset)
        add(this.#piece(cursor.block.seq, cursor.block.offset));
    }
    for (let seq = cursor.seq + 1; seq <= this.entries.length; seq++) add(this.#event(seq, 0));
    return events;
  }

  end(): string {
    return this.#cursor(this.entries.length);
  }

  #cursor(seq: number): string {
    const open = this.#open;
    return formatCursor(
      open === null || open > seq ? { seq } : { seq, block: { seq: open, offset: this.#block(open).text.length } },
    );
  }

  #block(seq: number) {
    const entry = this.entries[seq - 1];
    if (entry === undefined || entry.kind === "status") throw new Error("no block");
    return entry;
  }

  #event(seq: number, offset: number): Event {
    const entry = this.entries[seq - 1];
    if (entry?.kind !== "status") return this.#piece(seq, offset);
    const envelope = { seq, cursor: this.#cursor(seq), turn_id: null, timestamp: TIMESTAMP };
    return { ...envelope, type: "STATUS", data: { status: "resumed", discard: entry.discard } };
  }

  #piece(seq: number, offset: number): Event {
    const { kind, text, done, discarded } = this.#block(seq);
    const envelope = { seq, cursor: this.#cursor(this.entries.length), turn_id: null, timestamp: TIMESTAMP };
    const state = discarded ? { offset: 0, done, discarded } : { offset, done };
    const rest = text.slice(offset);
    return kind === "text"
      ? { ...envelope, type: "TEXT", data: { text: rest, ...stateOf(state) } }
      : { ...envelope, type: "THINKING", data: { thinking: rest, ...stateOf(state) } };
  }

  #send(event: Event): void {
    this.live.push(event);
  }
}

function stateOf({ offset, done, discarded }: { offset: number; done: boolean; discarded?: boolean }) {
  return discarded ? { offset, done, discarded: true as const } : { offset, done };
}

/** What a client shows, built from the events that it was given; refuses any repetition and any hole. */
class Reader {
  readonly entries = new Map<number, Entry>();

  show(event: Event): void {
    const known = this.entries.get(event.seq);
    if (event.type !== "TEXT" && event.type !== "THINKING") {
      expect(known, `event ${event.seq} came twice`).toBeUndefined();
      const discard = event.type === "STATUS" && event.data.status === "resumed" ? event.data.discard : [];
      for (const seq of discard)
        this.entries.set(seq, { ...this.#blockAt(seq), text: "", done: true, discarded: true });
      this.entries.set(event.seq, { kind: "status", discard });
      return;
    }
    const block = known === undefined ? this.#blockAt(event.seq, event.type) : this.#blockAt(event.seq);
    if (event.data.discarded) {
      this.entries.set(event.seq, { ...block, text: "", done: true, discarded: true });
      return;
    }
    expect(event.data.offset, `the next piece of block ${event.seq}`).toBe(block.text.length);
    const text = event.type === "TEXT" ? event.data.text : event.data.thinking;
    expect(text !== "" || (event.data.done && !block.done), "every piece says something").toBe(true);
    this.entries.set(event.seq, { ...block, text: block.text + text, done: block.done || event.data.done });
  }

  #blockAt(seq: number, type: "TEXT" | "THINKING" = "TEXT") {
    const entry = this.entries.get(seq);
    if (entry === undefined)
      return { kind: type === "TEXT" ? "text" : "thinking", text: "", done: false, discarded: false } as const;
    if (entry.kind === "status") throw new Error("not a block");
    return entry;
  }
}

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("text" as const, "thinking" as const),
      text: fc.string({ minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("status" as const, "commit" as const, "end" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const) }) },
  // The connection breaks with some frames still on their way, which are lost.
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), lost: fc.nat(5), overlap: fc.boolean() }) },
);

function perform(
  log: ReferenceLog,
  step: { do: "text" | "thinking"; text: string } | { do: "status" | "commit" | "end" | "drop" },
): void {
  if ("text" in step) log.write(step.do, step.text);
  else if (step.do === "status") log.status();
  else if (step.do === "commit") log.commit();
  else if (step.do === "end") log.endBlock();
  else log.dropStep();
}

describe("a position in the stream", () => {
  test("[CLI8] any cuts and any reconnection points give every event and every character once", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (steps) => {
        const log = new ReferenceLog();
        const reader = new Reader();
        const position = new StreamPosition("0", 0);
        let onTheWay: Event[] = [];
        const receive = (events: Event[]) => {
          for (const event of events) {
            const fresh = position.take(event);
            if (fresh !== null) reader.show(fresh);
          }
        };
        for (const step of steps) {
          if (step.do !== "cut") {
            perform(log, step);
            onTheWay.push(...log.live.splice(0));
            continue;
          }
          receive(onTheWay.slice(0, Math.max(0, onTheWay.length - step.lost)));
          // A gateway that repeats what was had already must not make a client show it twice.
          onTheWay = step.overlap ? log.replay("0") : log.replay(position.cursor ?? "0");
        }
        receive(onTheWay);
        receive(log.replay(position.cursor ?? "0"));
        expect([...reader.entries].sort(([a], [b]) => a - b).map(([, entry]) => entry)).toEqual(log.entries);
      }),
      { numRuns: 1_000 },
    );
  });

  test("[CLI8] a reader that begins anywhere gets everything from there on, once", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 15 }), fc.array(action, { maxLength: 25 }), (before, after) => {
        const log = new ReferenceLog();
        for (const step of before) if (step.do !== "cut") perform(log, step);
        const start = log.end();
        log.live.splice(0);
        const position = new StreamPosition(start, 0);
        const shown: string[] = [];
        const expected: string[] = [];
        const note = (to: string[], event: Event) => {
          if (event.type === "STATUS") to.push(`${event.seq}`);
          else if (event.type === "TEXT")
            to.push(...Array.from(event.data.text, (_, i) => `${event.seq}.${event.data.offset + i}`));
        };
        for (const step of after) {
          if (step.do === "cut") continue;
          perform(log, step);
          for (const event of log.live.splice(0)) {
            note(expected, event);
            const fresh = position.take(event);
            if (fresh !== null) note(shown, fresh);
          }
        }
        expect(shown).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  const text = (seq: number, cursor: string, data: { text: string; offset: number; done: boolean }): Event => ({
    seq,
    cursor,
    turn_id: null,
    timestamp: TIMESTAMP,
    type: "TEXT",
    data,
  });

  test("[CLI8] a reader with no position begins where its first connection does", () => {
    const position = new StreamPosition(null, 0);
    expect(position.cursor).toBeNull();
    position.begin("7");
    expect(position.cursor).toBe("7");
    position.begin("9");
    expect(position.cursor).toBe("7");
  });

  test("[BLOCK2] a piece that overlaps gives only its new characters", () => {
    const position = new StreamPosition("5", 0);
    position.take(text(6, "6~6.3", { text: "abc", offset: 0, done: false }));
    expect(position.take(text(6, "6~6.5", { text: "bcde", offset: 1, done: false }))).toMatchObject({
      data: { text: "de", offset: 3, done: false },
    });
    expect(position.take(text(6, "6", { text: "abcde", offset: 0, done: true }))).toMatchObject({
      data: { text: "", offset: 5, done: true },
    });
    expect(position.take(text(6, "6", { text: "abcde", offset: 0, done: true }))).toBeNull();
  });

  test("[WS14] what was taken is acknowledged after so many bytes, or after so much time", () => {
    const position = new StreamPosition("0", 0);
    position.take(text(1, "1~1.1", { text: "a", offset: 0, done: false }));
    expect(position.acknowledge(ACK_EVERY_BYTES - 1, 1)).toBeNull();
    expect(position.acknowledge(1, 2)).toBe("1~1.1");
    expect(position.acknowledge(1, 3)).toBeNull();
    expect(position.acknowledge(1, 2 + ACK_EVERY_MS)).toBe("1~1.1");
  });
});
