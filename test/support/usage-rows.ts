import fc from "fast-check";
import { ulid } from "ulid";
import type { TurnUsage, UsageGroup, UsageLine, UsageSums } from "../../src/protocol/usage.ts";

/** What a turn used of a model. */
export function aTurnUsage(given: Partial<TurnUsage> = {}): TurnUsage {
  return {
    user_id: "local",
    ended_at: Date.parse("2026-01-01T12:00:00.000Z"),
    turn_id: `turn_${ulid()}`,
    model: "demo",
    session_id: "session",
    model_calls: 1,
    tool_calls: 0,
    input_tokens: 1,
    output_tokens: 1,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
    cost_usd: null,
    ...given,
  };
}

const count = fc.nat({ max: 1_000 });

/** What turns of a few users, sessions and models used within a few days, the edges of days among them. */
export const anyUsage: fc.Arbitrary<TurnUsage> = fc
  .record({
    user_id: fc.constantFrom("ann", "bob", "ünï 🚀"),
    ended_at: fc.oneof(
      fc.integer({ min: Date.parse("2026-01-01"), max: Date.parse("2026-01-05") }),
      fc.constantFrom(...["01", "02", "03"].flatMap((day) => [0, -1].map((ms) => Date.parse(`2026-01-${day}`) + ms))),
    ),
    model: fc.constantFrom("claude", "demo", "z'\"%"),
    session_id: fc.constantFrom("session_a", "session_b"),
    model_calls: count,
    tool_calls: count,
    input_tokens: count,
    output_tokens: count,
    cache_read_input_tokens: count,
    cache_creation_input_tokens: count,
    cost_usd: fc.option(fc.nat({ max: 1_000 }).map((n) => n / 1024)),
  })
  // Some are of one turn, with another model.
  .chain((row) =>
    fc.constantFrom("1", "2", null).map((n) => ({ ...row, turn_id: n === null ? ulid() : turnOf(row, n) })),
  );

const turnOf = ({ user_id, session_id }: Pick<TurnUsage, "user_id" | "session_id">, n: string) =>
  `turn_${user_id}_${session_id}_${n}`;

const KEYS: Record<UsageGroup, (row: TurnUsage) => string> = {
  day: ({ ended_at }) => new Date(ended_at).toISOString().slice(0, 10),
  user: ({ user_id }) => user_id,
  model: ({ model }) => model,
  session: ({ session_id }) => session_id,
};

type Asked = { from: number; to: number; group_by: UsageGroup; user_id: string | null };

/** What a report says of rows, worked out with arrays. */
export function usageReference(rows: TurnUsage[], { from, to, group_by, user_id }: Asked) {
  const kept = new Map<string, TurnUsage>();
  for (const row of rows) {
    const key = JSON.stringify([row.user_id, row.ended_at, row.turn_id, row.model]);
    if (!kept.has(key)) kept.set(key, row);
  }
  const isAsked = (row: TurnUsage) =>
    row.ended_at >= from && row.ended_at < to && (user_id === null || row.user_id === user_id);
  const asked = [...kept.values()].filter(isAsked);
  const groups = Map.groupBy(asked, KEYS[group_by]);
  return { groups: new Map([...groups].map(([key, rows]) => [key, sumOf(rows)])), total: sumOf(asked) };
}

/** The groups as a report has them. SQLite sorts text by its bytes. */
export function sumsByKey(groups: Map<string, UsageSums>): UsageLine[] {
  const bytes = (text: string) => Buffer.from(text);
  return [...groups].map(([key, sums]) => ({ key, ...sums })).sort((a, b) => bytes(a.key).compare(bytes(b.key)));
}

function sumOf(rows: TurnUsage[]): UsageSums {
  const sum = (of: (row: TurnUsage) => number) => rows.reduce((total, row) => total + of(row), 0);
  const priced = rows.filter(({ cost_usd }) => cost_usd !== null);
  return {
    turns: new Set(rows.map(({ turn_id }) => turn_id)).size,
    model_calls: sum((row) => row.model_calls),
    tool_calls: sum((row) => row.tool_calls),
    input_tokens: sum((row) => row.input_tokens),
    output_tokens: sum((row) => row.output_tokens),
    cache_read_input_tokens: sum((row) => row.cache_read_input_tokens),
    cache_creation_input_tokens: sum((row) => row.cache_creation_input_tokens),
    cost_usd: priced.length === 0 ? null : sum((row) => row.cost_usd ?? 0),
    unpriced_calls: sum((row) => (row.cost_usd === null ? row.model_calls : 0)),
  };
}
