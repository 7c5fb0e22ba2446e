import { parseCursor } from "../protocol/cursors.ts";
import { NEVER_ACKED_MAX_BYTES, UNACKED_MAX_BYTES } from "../protocol/limits.ts";

/** Positions are remembered this far apart, so that a fast stream does not remember every frame. */
const MARK_EVERY_BYTES = 64 * 1024;

type Mark = { seq: number; offset: number; bytes: number };

/**
 * How far a socket's client is behind what was sent to it. The platform knows no backpressure: without this, a client
 * that stopped reading would fill the object's memory.
 */
export class SocketMeter {
  #sent = 0;
  #acked: number | null = null;
  #marks: Mark[] = [];
  #lastMark = 0;

  /**
   * Counts a frame that takes its client to `cursor` (null: that is no event). Returns false if the client is too far
   * behind for it.
   */
  count(cursor: string | null, bytes: number): boolean {
    this.#sent += bytes;
    if (cursor !== null && this.#sent - this.#lastMark >= MARK_EVERY_BYTES) {
      this.#lastMark = this.#sent;
      this.#marks.push({ ...positionOf(cursor), bytes: this.#sent });
    }
    const limit = this.#acked === null ? NEVER_ACKED_MAX_BYTES : UNACKED_MAX_BYTES;
    return this.#sent - (this.#acked ?? 0) <= limit;
  }

  /** The client has everything up to `cursor`. */
  acknowledge(cursor: string): void {
    const { seq, offset } = positionOf(cursor);
    this.#acked ??= 0;
    let mark = this.#marks[0];
    while (mark !== undefined && (mark.seq < seq || (mark.seq === seq && mark.offset <= offset))) {
      this.#acked = mark.bytes;
      this.#marks.shift();
      mark = this.#marks[0];
    }
  }
}

/** The end of a block is behind all of its offsets, and has none in its cursor. */
function positionOf(cursor: string): { seq: number; offset: number } {
  const { seq, block } = parseCursor(cursor) ?? { seq: 0, block: undefined };
  return { seq, offset: block?.offset ?? Number.MAX_SAFE_INTEGER };
}
