import { expect, test } from "vitest";
import { type Figure, isMet, quantile, type Result, summaryOf, tableOf, timeRow } from "../bench/figures.ts";

const RESULT: Result = { what: "lag", unit: "ms", floor: 2, reached: 6.5, target: null };

test("[BENCH2] a row of times is summed up by what half and nine tenths of its runs stay within", () => {
  const samples = Array.from({ length: 20 }, (_, i) => 20 - i);
  expect(timeRow("x", samples)).toEqual({ name: "x", values: [20, 1, 10, 18] });
  expect(timeRow("x", [1.256])).toEqual({ name: "x", values: [1, 1.26, 1.26, 1.26] });
  expect(() => quantile([], 0.5)).toThrow();
});

test("[BENCH2] a target is of the number itself, or of how far it is beyond its floor", () => {
  expect(isMet(RESULT)).toBe(true);
  expect(isMet({ ...RESULT, target: { of: "reached", atMost: 6.5 } })).toBe(true);
  expect(isMet({ ...RESULT, target: { of: "reached", atMost: 6.4 } })).toBe(false);
  expect(isMet({ ...RESULT, target: { of: "beyond the floor", atMost: 4.5 } })).toBe(true);
  expect(isMet({ ...RESULT, target: { of: "beyond the floor", atMost: 4.4 } })).toBe(false);
  expect(isMet({ ...RESULT, target: { of: "reached", atLeast: 6.5 } })).toBe(true);
  expect(isMet({ ...RESULT, target: { of: "reached", atLeast: 6.6 } })).toBe(false);
});

test("[BENCH2] the table tells what was missed, and the summary names floor and target of each result", () => {
  const figure: Figure = {
    title: "Lag",
    columns: ["p50 ms"],
    rows: [{ name: "bare", values: [2] }],
    results: [
      { ...RESULT, target: { of: "beyond the floor", atMost: 4 } },
      { ...RESULT, what: "rate", unit: "/s", floor: null, target: { of: "reached", atLeast: 6 } },
      { ...RESULT, what: "memory", unit: "kB", floor: null },
    ],
  };
  expect(tableOf(figure)).toMatch(/^Lag\n +p50 ms\nbare +2\nMISSED: lag: 6\.5 ms.*\nmet: rate.*\nreported: memory/);
  expect(summaryOf([figure]).split("\n")).toEqual([
    "| figure | to reach | floor | reached |",
    "|---|---|---|---|",
    "| lag | at most 4 ms beyond the floor | 2 ms | 6.5 ms |",
    "| rate | at least 6 /s |  | 6.5 /s |",
    "| memory | reported |  | 6.5 kB |",
  ]);
});
