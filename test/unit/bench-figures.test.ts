import { expect, test } from "vitest";
import { meetsTarget, summarize, tableOf } from "../bench/figures.ts";

test("[PACK8] a row is summed up by what half and nine tenths of its runs stay within", () => {
  const samples = Array.from({ length: 20 }, (_, i) => 20 - i);
  expect(summarize("x", samples)).toEqual({ name: "x", runs: 20, min_ms: 1, median_ms: 10, p90_ms: 18 });
  expect(summarize("x", [1.26])).toEqual({ name: "x", runs: 1, min_ms: 1.3, median_ms: 1.3, p90_ms: 1.3 });
});

test("[PACK8] a target is met by the median of the row that it is about, and by no other", () => {
  const rows = [summarize("floor", [1]), summarize("run, sources", [200]), summarize("run", [300, 400])];
  const figure = { title: "Start", rows, target: { row: "run", median_below_ms: 300 } };
  expect(meetsTarget(figure)).toBe(false);
  expect(tableOf(figure)).toContain("MISSED");
  expect(meetsTarget({ ...figure, rows: [summarize("run", [299.9, 400])] })).toBe(true);
  expect(meetsTarget({ title: "Start", rows })).toBe(true);
});
