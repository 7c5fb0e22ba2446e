import type { Span } from "../engine/span.ts";

/** What is needed of the platform's tracing: https://developers.cloudflare.com/workers/observability/traces/custom-spans. */
type Spans = {
  enterSpan<T>(
    name: string,
    run: (span: { setAttribute(key: string, value: string | number | boolean): unknown }) => T,
  ): T;
};

/**
 * Spans of the runtime's own tracing, which are recorded where the Worker's owner has switched traces on; undefined in a
 * runtime that has none. Tracing that fails takes nothing down with it.
 */
export function createSpan(tracing: Spans | undefined): Span | undefined {
  if (typeof tracing?.enterSpan !== "function") return undefined;
  return (name, attributes, run) => {
    let running: ReturnType<typeof run> | null = null;
    try {
      return tracing.enterSpan(name, (span) => {
        for (const [key, value] of Object.entries(attributes)) span.setAttribute(`turnpike.${key}`, value);
        running = run();
        return running;
      });
    } catch {
      return running ?? run();
    }
  };
}
