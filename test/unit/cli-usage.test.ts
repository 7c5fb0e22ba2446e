import { expect, test } from "vitest";
import { usageTable } from "../../src/cli/commands/usage.ts";
import type { UsageLine, UsageReport, UsageSums } from "../../src/protocol/usage.ts";

const NOTHING: UsageSums = {
  turns: 0,
  model_calls: 0,
  tool_calls: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
  cost_usd: null,
  unpriced_calls: 0,
};
const line = (key: string, sums: Partial<UsageSums>): UsageLine => ({ ...NOTHING, key, ...sums });

function shown(usage: UsageLine[], total: Partial<UsageSums>): string[] {
  const report: UsageReport = {
    from: "2026-01-01T00:00:00.000Z",
    to: "2026-01-31T00:00:00.000Z",
    group_by: "model",
    usage,
    total: { ...NOTHING, ...total },
    next_cursor: null,
  };
  return usageTable(report).split("\n");
}

test("[USAGE11] the table has a line a group and the total, its numbers one below the other", () => {
  const one = { turns: 1, model_calls: 12, tool_calls: 3, input_tokens: 1_234_567, output_tokens: 8 };
  const two = { ...one, model_calls: 1_200, input_tokens: 1 };
  expect(shown([line("a", one), line("claude-x", two)], { ...two, turns: 2 })).toEqual([
    "2026-01-01 00:00:00Z to 2026-01-31 00:00:00Z",
    "MODEL     TURNS  MODEL CALLS  TOOL CALLS      INPUT  OUTPUT",
    "a             1           12           3  1,234,567       8",
    "claude-x      1        1,200           3          1       8",
    "total         2        1,200           3          1       8",
    "",
  ]);
});

test("[USAGE11] a cost is shown where there is one, and that calls without a price are not in it", () => {
  const priced = { turns: 1, cost_usd: 0.01234 };
  const all = { turns: 3, cost_usd: 1_234.5, unpriced_calls: 1_002 };
  const unpriced = { turns: 1, unpriced_calls: 2 };
  expect(shown([line("a", priced), line("b", { ...priced, unpriced_calls: 1_000 }), line("c", unpriced)], all)).toEqual(
    [
      expect.any(String),
      "MODEL  TURNS  MODEL CALLS  TOOL CALLS  INPUT  OUTPUT        COST",
      "a          1            0           0      0       0     $0.0123",
      "b          1            0           0      0       0    $0.0123+",
      "c          1            0           0      0       0",
      "total      3            0           0      0       0  $1,234.50+",
      "+ there were model calls without a price, 1,002 in all",
      "",
    ],
  );
});

test("[USAGE11] what was read from a cache and written to it is shown where there is any", () => {
  const cached = { cache_read_input_tokens: 5, cache_creation_input_tokens: 6 };
  expect(shown([], cached).slice(1)).toEqual([
    "MODEL  TURNS  MODEL CALLS  TOOL CALLS  INPUT  OUTPUT  CACHE READ  CACHE WRITTEN",
    "total      0            0           0      0       0           5              6",
    "",
  ]);
});

test("[USAGE11] a key that holds what a terminal obeys is shown as text", () => {
  expect(shown([line("a\u001b[2J\nb", {})], {}).join("\n")).not.toContain("\u001b");
});
