import * as z from "zod";
import type { Sql, SqlRow } from "../engine/ports.ts";
import type { ModelUse } from "../engine/turn-store.ts";
import { type Spent, tokensOf } from "../protocol/budget.ts";
import { NO_USAGE, usage } from "../protocol/events.ts";
import { costOf, type Prices } from "../protocol/prices.ts";
import { addUsage, type TurnRow, usageOf } from "./turn-table.ts";

/** What a turn used of one model. The cost is that of the time when it was used; null where the model had no price. */
const modelSpending = z.strictObject({
  calls: z.int(),
  usage,
  cost_usd: z.number().nullable(),
});

/** What a turn used, by the names of the models. */
const spending = z.record(z.string(), modelSpending);
export type Spending = z.infer<typeof spending>;

type Spender = Pick<TurnRow, (typeof SPENDER_COLUMNS)[number]>;
const SPENDER_COLUMNS = [
  "spent",
  "usage",
  "model",
  "model_calls",
  "started_at",
  "ended_at",
  "paused_at",
  "paused_ms",
] as const;

/** Turns of before this was stored used their model alone, and cost what it costs now. */
export function spendingOf(
  turn: Pick<TurnRow, "spent" | "usage" | "model" | "model_calls">,
  prices: Prices = {},
): Spending {
  if (turn.spent !== null) return spending.parse(JSON.parse(turn.spent));
  if (turn.usage === null) return {};
  const [model, usage] = [turn.model ?? "", usageOf(turn)];
  return { [model]: { calls: turn.model_calls, usage, cost_usd: costOf(prices, model, usage) } };
}

/** One more call of a model. */
export function addSpending(before: Spending, { model, usage }: ModelUse, prices: Prices): Spending {
  const of = before[model] ?? { calls: 0, usage: NO_USAGE, cost_usd: 0 };
  const cost = costOf(prices, model, usage);
  const cost_usd = of.cost_usd === null || cost === null ? null : of.cost_usd + cost;
  return { ...before, [model]: { calls: of.calls + 1, usage: addUsage(of.usage, usage), cost_usd } };
}

/** What a turn has used, as budgets count it. What had no price when it was used costs what it costs now. */
export function spentOf(turn: Spender, prices: Prices, now: number): Spent {
  const costs = Object.entries(spendingOf(turn, prices)).map(
    ([model, { usage, cost_usd }]) => cost_usd ?? costOf(prices, model, usage),
  );
  return {
    tokens: tokensOf(usageOf(turn)),
    seconds: runningMs(turn, now) / 1_000,
    cost_usd: costs.reduce(addCost, 0),
  };
}

/** How long a turn ran, without the time in which it waited for someone. */
function runningMs({ started_at, ended_at, paused_at, paused_ms }: Spender, now: number): number {
  if (started_at === null) return 0;
  const end = ended_at ?? paused_at ?? now;
  return Math.max(0, end - started_at - (paused_ms ?? 0));
}

/** What all turns of a session but one have used. Reads the whole table: once for a turn. */
export function spentBefore(sql: Sql, turnId: string, prices: Prices, now: number): Spent {
  const others = sql.exec<Spender & SqlRow>(
    `SELECT ${SPENDER_COLUMNS.join(", ")} FROM turns WHERE turn_id <> ? AND started_at IS NOT NULL`,
    turnId,
  );
  return others.map((turn) => spentOf(turn, prices, now)).reduce(addSpent, { tokens: 0, seconds: 0, cost_usd: 0 });
}

export function addSpent(a: Spent, b: Spent): Spent {
  return { tokens: a.tokens + b.tokens, seconds: a.seconds + b.seconds, cost_usd: addCost(a.cost_usd, b.cost_usd) };
}

function addCost(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}
