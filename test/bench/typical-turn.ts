/** A turn as an agent's are: it looks round, reads, changes two files and makes one for people, a model call each. */
const CALLS = [
  "List .",
  "Read notes.txt",
  "Search for 'one' in .",
  "Replace 'one' with 'two' in notes.txt",
  "Write 'a text' to draft.txt",
  "Write 'a text' to work_products/report.txt",
];

/** What the session has from a turn before. */
export const TURN_BEFORE = "Write 'one two three' to notes.txt";

/**
 * The demo model's script of a turn: text before each of the calls and after the last, so many deltas in all and so far
 * apart. The last message has what is left.
 */
export function typicalTurn({ deltas, delayMs }: { deltas: number; delayMs: number }): string {
  const each = Math.floor(deltas / (CALLS.length + 1));
  const text = (number: number) => `Count to ${number} at ${delayMs} ms`;
  return [...CALLS.flatMap((call) => [text(each), call]), text(deltas - each * CALLS.length)].join(", then ");
}
