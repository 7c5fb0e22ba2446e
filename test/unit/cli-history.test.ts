import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { addToHistory, readHistory } from "../../src/cli/history.ts";

const home = mkdtempSync(join(tmpdir(), "turnpike-"));
afterAll(() => rmSync(home, { recursive: true }));

test("[CLI24] what was typed is kept for its owner alone, 1,000 lines of it", () => {
  const path = join(home, "new", "history");
  expect(readHistory(path)).toEqual([]);
  for (let line = 0; line < 1_005; line++) addToHistory(path, `line ${line}`);
  addToHistory(path, "line 1004");
  expect(readHistory(path)).toEqual(Array.from({ length: 1_000 }, (_, index) => `line ${index + 5}`));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(home, "new"))).toEqual(["history"]);
});

test("[CLI24] a history that cannot be kept is no reason to fail", () => {
  writeFileSync(join(home, "file"), "");
  addToHistory(join(home, "file", "history"), "x");
  expect(readHistory(join(home, "file", "history"))).toEqual([]);
});
