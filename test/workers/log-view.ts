import type { Event } from "../../src/protocol/events.ts";

type BlockEvent = Extract<Event, { type: "TEXT" | "THINKING" }>;

/**
 * The log as a client puts it together that trusts the gateway: it looks for no gap and no duplicate to mend, and
 * throws at the first that it is given.
 */
export class LogView {
  readonly events: Event[] = [];
  /** The position after what was taken: what the client would reconnect with. */
  cursor: string;

  constructor(cursor = "0") {
    this.cursor = cursor;
  }

  take(frame: Event): void {
    const known = this.events[frame.seq - 1];
    if (known === undefined) this.#append(frame);
    else this.#extend(known, frame);
    for (const seq of discardedBy(frame)) this.#discard(seq);
    this.cursor = frame.cursor;
  }

  /** The events without their cursors, which say where a reader stood and not what happened. */
  get content(): Omit<Event, "cursor">[] {
    return contentOf(this.events);
  }

  #append(frame: Event): void {
    if (frame.seq !== this.events.length + 1) throw new Error(`gap: ${frame.seq} after ${this.events.length}`);
    if (isBlock(frame) && frame.data.offset !== 0) throw new Error(`block ${frame.seq} begins at ${frame.data.offset}`);
    this.events.push(structuredClone(frame));
  }

  /** A known event may only be an open block, and gets the characters that follow. */
  #extend(known: Event, frame: Event): void {
    if (!isBlock(known) || !isBlock(frame) || known.type !== frame.type || known.data.done) {
      throw new Error(`duplicate: ${frame.seq} ${frame.type}`);
    }
    if (frame.data.discarded === true) {
      this.events[frame.seq - 1] = structuredClone(frame);
      return;
    }
    const length = textOf(known).length;
    if (frame.data.offset !== length) throw new Error(`block ${frame.seq}: ${frame.data.offset} after ${length}`);
    const { offset } = known.data;
    if (known.type === "TEXT" && frame.type === "TEXT") {
      known.data = { ...frame.data, text: known.data.text + frame.data.text, offset };
    } else if (known.type === "THINKING" && frame.type === "THINKING") {
      known.data = { ...frame.data, thinking: known.data.thinking + frame.data.thinking, offset };
    }
  }

  #discard(seq: number): void {
    const event = this.events[seq - 1];
    if (event === undefined || !isBlock(event)) throw new Error(`discard of ${seq}, which is no block`);
    const state = { offset: 0, done: true, discarded: true } as const;
    if (event.type === "TEXT") event.data = { text: "", ...state };
    else event.data = { thinking: "", ...state };
  }
}

/** Takes frames in their order. */
export function viewOf(frames: Iterable<Event>): LogView {
  const view = new LogView();
  for (const frame of frames) view.take(frame);
  return view;
}

export function contentOf(events: Event[]): Omit<Event, "cursor">[] {
  return events.map(({ cursor: _, ...content }) => content);
}

/** How many characters of text and thinking came. */
export function charsOf(frames: Event[]): number {
  return frames.reduce((sum, { type, data }) => {
    if (type === "TEXT") return sum + data.text.length;
    return type === "THINKING" ? sum + data.thinking.length : sum;
  }, 0);
}

/** The blocks that an event drops. */
export function discardedBy(event: Event): number[] {
  if (event.type === "ERROR") return event.data.discard ?? [];
  return event.type === "STATUS" && "discard" in event.data ? event.data.discard : [];
}

function isBlock(event: Event): event is BlockEvent {
  return event.type === "TEXT" || event.type === "THINKING";
}

function textOf(event: BlockEvent): string {
  return event.type === "TEXT" ? event.data.text : event.data.thinking;
}
