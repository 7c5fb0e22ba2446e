/**
 * Whether an `Accept` header asks for an event stream rather than for JSON (RFC 9110, 12.5.1): by its weight, and
 * between equals by its place. Wildcards mean JSON.
 */
export function acceptsEventStream(accept: string | undefined): boolean {
  const ranges = (accept ?? "").split(",").map(parseRange);
  const weightOf = (type: string) => Math.max(0, ...ranges.filter((range) => range.type === type).map(({ q }) => q));
  const stream = weightOf("text/event-stream");
  const json = weightOf("application/json");
  const first = ranges.find(({ type }) => type === "text/event-stream" || type === "application/json");
  return stream > json || (stream > 0 && stream === json && first?.type === "text/event-stream");
}

function parseRange(range: string): { type: string; q: number } {
  const [type = "", ...params] = range.split(";").map((part) => part.trim().toLowerCase());
  const weight = params.find((param) => param.startsWith("q="));
  return { type, q: weight === undefined ? 1 : Number(weight.slice(2)) || 0 };
}
