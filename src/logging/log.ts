/** What the gateway says of itself while it runs: one object a line, for machines to index and for people to search. */
import { LOG_LINE_MAX_CHARS } from "../protocol/limits.ts";
import { describeError, type LoggedError } from "./describe-error.ts";

export type LogLevel = "info" | "warn" | "error";

/**
 * What a line says beside its level and event. Ids, codes, counts and times: never a secret, never an address that was
 * called, never anything that a person, a model or a tool said. What is undefined is left out.
 */
export type LogFields = {
  [name: string]: string | number | boolean | null | undefined | readonly string[] | LoggedError;
};

export type LogLine = { level: LogLevel; event: string; [name: string]: LogFields[string] };

/** Where lines go. Never throws. */
export type LineWriter = (line: LogLine) => void;

const METHODS = { info: "log", warn: "warn", error: "error" } as const;

/** By what Node and the Workers' runtime print an object where nobody indexes it. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** Workers Logs indexes the fields of an object; wherever objects are printed, this one is a line of JSON. */
export const writeToConsole: LineWriter = (line) => {
  console[METHODS[line.level]](Object.defineProperty({ ...line }, INSPECT, { value: () => JSON.stringify(line) }));
};

let write: LineWriter = writeToConsole;

/** Lets lines go elsewhere from now on; returns where they went before. */
export function writeLinesTo(writer: LineWriter): LineWriter {
  const before = write;
  write = writer;
  return before;
}

/** Writes one line, of `LOG_LINE_MAX_CHARS` at most as JSON. */
export function log(level: LogLevel, event: string, fields: LogFields): void {
  write(shorten({ level, event, ...fields }));
}

/** Writes that something failed which nobody foresaw, or which only the gateway's owner can mend. */
export function logError(where: string, thrown: unknown, level: LogLevel = "error"): void {
  log(level, "error", { where, error: describeError(thrown) });
}

/** Leaves out the longest fields until the others fit: ids and codes are short. */
function shorten(line: LogLine): LogLine {
  const lengthOf = (value: unknown) => JSON.stringify(value)?.length ?? 0;
  let kept = Object.entries(line).filter(([, value]) => value !== undefined);
  if (lengthOf(Object.fromEntries(kept)) > LOG_LINE_MAX_CHARS) {
    kept = [...kept, ["cut", true]];
    while (lengthOf(Object.fromEntries(kept)) > LOG_LINE_MAX_CHARS) {
      const longest = Math.max(...kept.map(([, value]) => lengthOf(value)));
      kept = kept.filter(([, value]) => lengthOf(value) < longest);
    }
  }
  const { level, event } = line;
  return { level, event, ...Object.fromEntries(kept) };
}
