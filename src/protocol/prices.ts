import * as z from "zod";
import type { Usage } from "./events.ts";
import { matchesName } from "./permissions.ts";

const dollars = z.number().min(0).max(1_000_000);

/** What a million tokens of a model cost, in US dollars. Cached tokens cost what input costs unless it is said. */
const price = z.strictObject({
  input: dollars,
  output: dollars,
  cache_read: dollars.optional(),
  cache_write: dollars.optional(),
});

/**
 * Prices by the name of a model, or by a pattern in which `*` stands for any characters. A model's own name counts for
 * more than patterns, of which the first that fits counts.
 */
export const prices = z.record(z.string().min(1), price);
export type Prices = z.infer<typeof prices>;

/** What was used of a model costs, in US dollars; null where it has no price. */
export function costOf(all: Prices, model: string, usage: Usage): number | null {
  const own = Object.hasOwn(all, model) ? all[model] : undefined;
  const found = own ?? Object.entries(all).find(([pattern]) => matchesName(pattern, model))?.[1];
  if (found === undefined) return null;
  const { input, output, cache_read = input, cache_write = input } = found;
  const sum =
    usage.input_tokens * input +
    usage.output_tokens * output +
    usage.cache_read_input_tokens * cache_read +
    usage.cache_creation_input_tokens * cache_write;
  return sum / 1_000_000;
}
