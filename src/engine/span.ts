/** What a span says of itself: names, ids and counts, and nothing that a person, a model or a tool said. */
export type SpanAttributes = Record<string, string | number | boolean>;

/** Shows whoever looks that `run` is under way, and runs it once; what it gives or throws is given and thrown on. */
export type Span = <T>(name: string, attributes: SpanAttributes, run: () => Promise<T>) => Promise<T>;

/** Runs it in a span; where there are none it just runs. */
export async function inSpan<T>(
  span: Span | undefined,
  name: string,
  attributes: SpanAttributes,
  run: () => Promise<T>,
): Promise<T> {
  return span === undefined ? run() : span(name, attributes, run);
}
