import { expect, test } from "vitest";
import { table, timeOf } from "../../src/cli/table.ts";

test("[CLI17] each column is as wide as it must be", () => {
  expect(
    table(
      ["A", "LONG", "C"],
      [
        ["1234", "x", "last one"],
        ["1", "y", ""],
      ],
    ),
  ).toBe("A     LONG  C\n1234  x     last one\n1     y\n");
  expect(table(["A", "B"], [])).toBe("A  B\n");
});

test("[CLI17] times are to the second", () => {
  expect(timeOf("2026-01-31T12:00:01.234Z")).toBe("2026-01-31 12:00:01Z");
});
