/**
 * A turn that comes out the same however often it is asked for: its texts are of one piece each, so that time does not
 * decide how they are cut.
 */
export const SAME_TURN = [
  "Say 'Beginning'",
  "Write 'a text' to work_products/report.txt",
  "Say 'Tidying'",
  "Delete work_products/report.txt",
  "Say 'Done'",
].join(", then ");

/** What differs from turn to turn by its nature: where and when it was, what it used, and ids. */
const PASSING: [RegExp, string][] = [
  [/"seq":\d+/g, '"seq":0'],
  [/"cursor":"[^"]*"/g, '"cursor":""'],
  [/^id: .*$/gm, "id: "],
  [/"timestamp":"[^"]*"/g, '"timestamp":""'],
  [/"(time_offset|duration_seconds)":[\d.e-]+/g, '"$1":0'],
  [/"usage":\{[^}]*\}/g, '"usage":{}'],
  [/"(turn_id|id|tool_use_id|trace_id)":"[^"]*"/g, '"$1":""'],
];

/** What a stream brought, without that. */
export function maskPassing(text: string): string {
  return PASSING.reduce((masked, [pattern, by]) => masked.replace(pattern, by), text);
}
