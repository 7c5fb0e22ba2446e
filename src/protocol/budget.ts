import * as z from "zod";
import type { Usage } from "./events.ts";
import { BUDGET_MAX_SECONDS } from "./limits.ts";

/** The most that a session or a turn may use. */
export const budget = z.strictObject({
  /** Input, output and cached tokens together. */
  tokens: z.int().min(1).optional(),
  /** How long turns run; time in which a turn waits for someone does not count. */
  seconds: z.number().positive().max(BUDGET_MAX_SECONDS).optional(),
  /** In US dollars, by the prices that the gateway was given. */
  cost_usd: z.number().positive().max(1_000_000).optional(),
});
export type Budget = z.infer<typeof budget>;

/** What was used. `cost_usd` is null where something was used that has no price. */
export type Spent = { tokens: number; seconds: number; cost_usd: number | null };

/** The limit of a budget that was reached. `limit` names the field; what was used is null where it has no price. */
export type Reached = { limit: keyof Budget; used: number | null; max: number };

/** The first limit that is used up; null where none is. A cost that nobody can tell counts as too high. */
export function reachedLimit(limits: Budget | null, spent: Spent): Reached | null {
  for (const limit of ["tokens", "seconds", "cost_usd"] as const) {
    const max = limits?.[limit];
    const used = spent[limit];
    if (max !== undefined && (used === null || used >= max)) return { limit, used, max };
  }
  return null;
}

export function tokensOf(usage: Usage): number {
  return usage.input_tokens + usage.output_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
}
