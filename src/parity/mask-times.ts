import type { Shown } from "./entry-point.ts";

/** The lines in which a client says how long something takes, and nothing else: a text of the model's stays as it is. */
const LINES: readonly RegExp[] = [
  /^(trying again in )\d+\.\d( s \()/gm,
  /^((?:complete|failed|cancelled|refused|max_iterations|budget_exceeded)(?: \(\w+\))? in )\d+\.\d( s, )/gm,
];

/** What was shown without how long things took. */
export function maskTimes({ stdout, stderr }: Shown): Shown {
  return { stdout, stderr: LINES.reduce((text, line) => text.replace(line, "$1#$2"), stderr) };
}
