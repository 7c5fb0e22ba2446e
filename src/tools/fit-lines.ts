import { TOOL_RESULT_MAX_CHARS } from "../protocol/limits.ts";

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
