import { LIST_MAX_ENTRIES, TOOL_RESULT_MAX_CHARS } from "../protocol/limits.ts";

/** Left free in a result for the words that say what was cut. */
const NOTES_MAX_CHARS = 2_000;

/** The most that a tool puts into a result beside its notes, in characters. */
export const CONTENT_MAX_CHARS = TOOL_RESULT_MAX_CHARS - NOTES_MAX_CHARS;

/** As many lines from the start as a result may hold, and at most `maxLines`. A line break after each is counted. */
export function fitLines(lines: string[], maxLines: number): string[] {
  let chars = 0;
  let count = 0;
  for (const line of lines.slice(0, maxLines)) {
    chars += line.length + 1;
    if (chars > CONTENT_MAX_CHARS) break;
    count++;
  }
  return lines.slice(0, count);
}

/** The lines of a list: as many as a result may hold are kept, all are counted. */
export class CountedLines {
  readonly #lines: string[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(line: string): void {
    this.#count++;
    if (this.#lines.length < LIST_MAX_ENTRIES) this.#lines.push(line);
  }

  /** What the result shows, with a note where that is not all. `isCut` says that there may be more than were added. */
  shown(isCut: boolean, advice: string): string[] {
    const shown = fitLines(this.#lines, LIST_MAX_ENTRIES);
    if (shown.length === this.#count) return shown;
    return [...shown, `[${shown.length} of ${isCut ? "at least " : ""}${this.#count} shown. ${advice}]`];
  }
}

/** A result with what there is to say of it at its end. */
export function withNotes(lines: string[], notes: string[]): string {
  return [...lines, ...notes.map((note) => `[${note}]`)].join("\n");
}
