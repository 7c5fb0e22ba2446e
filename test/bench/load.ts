/** What the model is to send: so many deltas of text, so far apart. Travels as the text of a message. */
export type Load = {
  deltas: number;
  /** From one delta to the next; 0: as fast as they are taken. */
  delayMs: number;
  /** Characters of each delta. */
  size: number;
};

/** What a person would type is no load. */
export const PACED_DELAY_MS = 5;

/** The head of a delta: its number, and when it was made in µs of the machine's monotonic clock. */
const HEAD = /\[(\d+)@(\d+)\]/g;
export const HEAD_MAX_CHARS = 28;

/** The same clock in every process of a machine, in µs. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** A delta of exactly `size` characters. */
export function deltaText(number: number, size: number, at: number): string {
  return `[${number}@${at}]`.padEnd(size, "x");
}

/** Reads the heads of deltas out of a stream, whatever stands around them and wherever it is cut. */
export class HeadReader {
  #rest = "";

  *read(piece: string): Generator<{ number: number; at: number }> {
    const text = this.#rest + piece;
    let end = 0;
    for (const match of text.matchAll(HEAD)) {
      end = match.index + match[0].length;
      yield { number: Number(match[1]), at: Number(match[2]) };
    }
    this.#rest = text.slice(Math.max(end, text.length - HEAD_MAX_CHARS));
  }
}
