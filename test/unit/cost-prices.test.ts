import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { PRICES } from "../bench/prices.ts";

/** The rows of the table of prices in docs/costs.md, by what is priced. */
const LINES: [line: string, price: number][] = [
  ["Worker requests", PRICES.workerRequest],
  ["Worker CPU", PRICES.workerCpuMs],
  ["object requests", PRICES.objectRequest],
  ["object duration", PRICES.objectGbSecond],
  ["object rows written", PRICES.rowWritten],
  ["object rows read", PRICES.rowRead],
  ["D1 rows written", PRICES.d1RowWritten],
  ["D1 rows read", PRICES.d1RowRead],
  ["R2 class A", PRICES.r2ClassA],
  ["R2 class B", PRICES.r2ClassB],
];

test("[COST6] turns are priced as docs/costs.md says that Cloudflare does", () => {
  const page = readFileSync(join(PROJECT_ROOT, "docs/costs.md"), "utf8");
  const [table = ""] = page.split("\n## ");
  expect(LINES).toHaveLength(Object.keys(PRICES).length);
  for (const [line, price] of LINES) {
    const [, told] = new RegExp(`^\\| ${line}\\b.* \\| \\$([\\d.]+) a million`, "m").exec(table) ?? [];
    expect(Number(told), line).toBe(price);
  }
});
