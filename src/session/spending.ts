import { z } from "zod";
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

type Spender = Pick<TurnRow, "spent" | "usage" | "model" | "started_at" | "ended_at" | "paused_at" | "paused_ms">;

export function spendingOf(turn: Pick<TurnRow, "spent">): Spending {
  return turn.spent === null ? {} : spending.parse(JSON.parse(turn.spent));
}

/** One more call of a model. */
export function addSpending(before: Spending, { model, usage }: ModelUse, prices: Prices): Spending {
  const of = before[model] ?? { calls: 0, usage: NO_USAGE, cost_usd: 0 };
  const cost = costOf(prices, model, usage);
  const cost_usd = of.cost_usd === null || cost === null ? null : of.cost_usd + cost;
  return { ...before, [model]: { calls: of.calls + 1, usage: addUsage(of.usage, usage), cost_usd } };
}

/** What a turn has used, as budgets count it. Turns of before there were prices cost what their model costs now. */
export function spentOf(turn: Spender, prices: Prices, now: number): Spent {
  const models = Object.values(spendingOf(turn));
  const isOld = turn.spent === null && turn.usage !== null;
  return {
    tokens: tokensOf(usageOf(turn)),
    seconds: runningMs(turn, now) / 1_000,
    cost_usd: isOld
      ? costOf(prices, turn.model ?? "", usageOf(turn))
      : models.reduce<number | null>((sum, { cost_usd }) => addCost(sum, cost_usd), 0),
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
    "SELECT spent, usage, model, started_at, ended_at, paused_at, paused_ms FROM turns WHERE turn_id <> ? AND started_at IS NOT NULL",
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
