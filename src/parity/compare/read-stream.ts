import { formatCursor, parseCursor } from "../../protocol/cursors.ts";
import type { Event, EventOf, EventType } from "../../protocol/events.ts";

/** What is wrong with one path by itself, whatever the others bring. */
export type Fault = { seq: number; type: EventType; text: string };

/** A stream of the whole log, from its first event on, or of one turn, between whose events others may stand. */
export type StreamScope = "log" | "turn";

export type StreamReading = {
  /** In the order of seq, each block as one event, discarded ones in their discarded form. Cursors mean nothing here. */
  events: Event[];
  faults: Fault[];
};

type BlockEvent = EventOf<"TEXT"> | EventOf<"THINKING">;

/**
 * Reads a stream as a client does that believes nothing: seq ascends, a block's pieces follow each other and end once,
 * and each cursor is the position after its piece (SPEC.md, LOG1, BLOCK2 to BLOCK4, BLOCK8, CURSOR2).
 */
export function readStream(events: readonly Event[], scope: StreamScope): StreamReading {
  const reader = new StreamReader(scope);
  for (const event of events) reader.take(event);
  return reader.end();
}

class StreamReader {
  readonly #scope: StreamScope;
  readonly #events: Event[] = [];
  readonly #faults: Fault[] = [];
  /** The highest seq so far, and the highest that a cursor spoke of. */
  #highest = 0;
  #position = 0;
  /** The block whose end has not come: its place among the events. */
  #open: number | null = null;

  constructor(scope: StreamScope) {
    this.#scope = scope;
  }

  take(event: Event): void {
    const open = this.#openBlock();
    if (isBlock(event) && open !== null && open.seq === event.seq) this.#continue(open, event);
    else this.#begin(event);
    for (const seq of discardsOf(event)) this.#discard(seq, event);
    this.#checkCursor(event);
  }

  end(): StreamReading {
    const open = this.#openBlock();
    if (open !== null) this.#fault(open, "the block never ends");
    return { events: this.#events, faults: this.#faults };
  }

  #begin(event: Event): void {
    const open = this.#openBlock();
    if (event.seq <= this.#highest) this.#fault(event, `comes after event ${this.#highest}`);
    else if (this.#scope === "log" && event.seq > this.#highest + 1) {
      this.#fault(event, `event ${this.#highest + 1} is missing before it`);
    }
    this.#highest = Math.max(this.#highest, event.seq);
    const place = this.#events.push(structuredClone(event)) - 1;
    if (!isBlock(event)) return;
    if (open !== null) this.#fault(event, `begins while block ${open.seq} is open`);
    if (event.data.offset !== 0) this.#fault(event, `the block begins at offset ${event.data.offset}`);
    this.#open = event.data.done ? null : place;
  }

  #continue(block: BlockEvent, piece: BlockEvent): void {
    // A client that comes back after a crash is told that the block it had begun to read is void.
    if (piece.data.discarded === true && this.#open !== null) {
      this.#events[this.#open] = discarded(block);
      this.#open = null;
      return;
    }
    const length = textOf(block).length;
    if (piece.data.offset !== length) {
      this.#fault(piece, `a piece has offset ${piece.data.offset} where ${length} follows`);
    }
    if (textOf(piece) === "" && !piece.data.done) this.#fault(piece, "a piece says nothing");
    if (this.#open === null) return;
    this.#events[this.#open] = joined(block, piece);
    if (piece.data.done) this.#open = null;
  }

  #discard(seq: number, teller: Event): void {
    const place = this.#events.findIndex((event) => event.seq === seq);
    const block = this.#events[place];
    if (block === undefined || !isBlock(block)) {
      this.#fault(teller, `discards ${seq}, which is no block that was sent`);
      return;
    }
    this.#events[place] = discarded(block);
    if (this.#open === place) this.#open = null;
  }

  #checkCursor(event: Event): void {
    const cursor = parseCursor(event.cursor);
    if (cursor === null) {
      this.#fault(event, `${JSON.stringify(event.cursor)} is no cursor`);
      return;
    }
    // While a block streams, events of no turn may be appended, which a turn's stream does not bring.
    const hidden = this.#scope === "turn" && isBlock(event);
    const seq = hidden ? Math.max(this.#highest, this.#position, cursor.seq) : this.#highest;
    const open = this.#openBlock();
    const expected = formatCursor(
      open === null ? { seq } : { seq, block: { seq: open.seq, offset: textOf(open).length } },
    );
    if (event.cursor !== expected)
      this.#fault(event, `has the cursor ${event.cursor} where the position is ${expected}`);
    this.#position = seq;
  }

  #openBlock(): BlockEvent | null {
    const block = this.#open === null ? undefined : this.#events[this.#open];
    return block !== undefined && isBlock(block) ? block : null;
  }

  #fault({ seq, type }: Event, text: string): void {
    this.#faults.push({ seq, type, text });
  }
}

function isBlock(event: Event): event is BlockEvent {
  return event.type === "TEXT" || event.type === "THINKING";
}

function textOf(block: BlockEvent): string {
  return block.type === "TEXT" ? block.data.text : block.data.thinking;
}

/** A block with the piece that follows. Whatever else its last piece carries, such as citations, is the block's. */
function joined(block: BlockEvent, piece: BlockEvent): BlockEvent {
  const { offset } = block.data;
  if (block.type === "TEXT" && piece.type === "TEXT") {
    return { ...block, data: { ...piece.data, text: block.data.text + piece.data.text, offset } };
  }
  if (block.type === "THINKING" && piece.type === "THINKING") {
    return { ...block, data: { ...piece.data, thinking: block.data.thinking + piece.data.thinking, offset } };
  }
  return piece;
}

function discarded(block: BlockEvent): BlockEvent {
  const state = { offset: 0, done: true, discarded: true as const };
  return block.type === "TEXT"
    ? { ...block, data: { text: "", ...state } }
    : { ...block, data: { thinking: "", ...state } };
}

/** The blocks that an event says do not count any more. */
function discardsOf({ type, data }: Event): number[] {
  if (type === "ERROR") return data.discard ?? [];
  return type === "STATUS" && "discard" in data ? data.discard : [];
}
