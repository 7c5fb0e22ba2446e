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

/** What differs from turn to turn by its nature: where and when it was, what it used, and the model's ids. */
const PASSING: [RegExp, string][] = [
  [/"seq":\d+/g, '"seq":0'],
  [/"cursor":"[^"]*"/g, '"cursor":""'],
  [/^id: .*$/gm, "id: "],
  [/"timestamp":"[^"]*"/g, '"timestamp":""'],
  [/"(time_offset|duration_seconds)":[\d.e-]+/g, '"$1":0'],
  [/"usage":\{[^}]*\}/g, '"usage":{}'],
  // The demo model numbers its calls.
  [/"(id|tool_use_id)":"[^"]*"/g, '"$1":""'],
];
/** These differ as well, but are as long: they count. */
const ID = /(?<="(?:turn_id|trace_id)":")[^"]*/g;

/** What a stream brought, without that. */
export function maskPassing(text: string): string {
  const masked = PASSING.reduce((rest, [pattern, by]) => rest.replace(pattern, by), text);
  return masked.replace(ID, (id) => "x".repeat(id.length));
}
