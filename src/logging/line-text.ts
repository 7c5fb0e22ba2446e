import type { LogLine } from "./log.ts";

/** A line for a person at a terminal: what failed where, in one line, without what machines tell lines apart by. */
export function lineText({ level, event, where, error, method, route, code, ...rest }: LogLine): string {
  const subject = [event === "error" ? null : event, where, method, route, code].filter((part) => part != null);
  const detail = rest["detail"] ?? null;
  return [`${level}: ${subject.join(" ")}`, detail, errorText(error)]
    .filter((part) => part !== null && part !== "")
    .join(": ");
}

function errorText(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("name" in error) || !("message" in error)) return null;
  const cause = "cause" in error ? ` (${String(error.cause)})` : "";
  const message = String(error.message) === "" ? "" : `: ${String(error.message)}`;
  return `${String(error.name)}${message}${cause}`;
}

/** The line that a text is, as it was printed; null for any other text. */
export function parseLine(text: string): LogLine | null {
  if (!text.startsWith('{"level":')) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
