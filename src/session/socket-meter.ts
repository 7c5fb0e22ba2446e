import { parseCursor } from "../protocol/cursors.ts";
import { NEVER_ACKED_MAX_BYTES, UNACKED_MAX_BYTES, UNACKED_TOTAL_MAX_BYTES } from "../protocol/limits.ts";

/** Positions are remembered this far apart, so that a fast stream does not remember every frame. */
const MARK_EVERY_BYTES = 64 * 1024;

type Mark = { seq: number; offset: number; bytes: number };

/** How far each of `count` clients may be behind that never acknowledged anything: their share, within bounds. */
export function neverAckedLimit(count: number): number {
  return Math.max(UNACKED_MAX_BYTES, Math.min(NEVER_ACKED_MAX_BYTES, UNACKED_TOTAL_MAX_BYTES / count));
}

/**
 * How far a socket's client is behind what was sent to it. The platform knows no backpressure: without this, a client
 * that stopped reading would fill the object's memory. It begins anew when its object wakes: what was on its way then
 * is not counted, and a client that says later that it has it is believed.
 */
export class SocketMeter {
  #sent = 0;
  #acked: number | null;
  #marks: Mark[] = [];
  #lastMark = 0;
  /** Frames that are no events. */
  #answers = 0;

  readonly #countNeverAcked: () => number;

  /**
   * @param acknowledges the client is known to, so that the narrower limit holds from the start
   * @param countNeverAcked how many clients there are that never acknowledged anything, with this one
   */
  constructor(acknowledges = false, countNeverAcked = () => 1) {
    this.#acked = acknowledges ? 0 : null;
    this.#countNeverAcked = countNeverAcked;
  }

  get acknowledges(): boolean {
    return this.#acked !== null;
  }

  /** What was sent of the log and not acknowledged, in bytes. */
  get unacked(): number {
    return this.#sent - (this.#acked ?? 0);
  }

  /**
   * Counts a frame that takes its client to `cursor` (null: that is no event). Returns false if the client is too far
   * behind for it.
   */
  count(cursor: string | null, bytes: number): boolean {
    if (cursor === null) this.#answers += bytes;
    else {
      this.#sent += bytes;
      if (this.#sent - this.#lastMark >= MARK_EVERY_BYTES) {
        this.#lastMark = this.#sent;
        this.#marks.push({ ...positionOf(cursor), bytes: this.#sent });
      }
    }
    return this.isWithinLimit();
  }

  /** Whether the client is near enough; `missed`: how many bytes went past it that it has not been sent. */
  isWithinLimit(missed = 0): boolean {
    const limit = this.acknowledges ? UNACKED_MAX_BYTES : neverAckedLimit(this.#countNeverAcked());
    return this.unacked + this.#answers + missed <= limit;
  }

  /** The client has everything up to `cursor`. */
  acknowledge(cursor: string): void {
    const { seq, offset } = positionOf(cursor);
    this.#acked ??= 0;
    // An answer has no position that could be acknowledged: one that says anything is taken to have it.
    this.#answers = 0;
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
