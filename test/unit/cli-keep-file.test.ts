import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { keepFile } from "../../src/cli/keep-file.ts";

const folder = mkdtempSync(join(tmpdir(), "turnpike-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("[CLI19] what the command line keeps is its owner's alone, with the folders that it needs", () => {
  const path = join(folder, "a", "b", "kept");
  expect(keepFile(path, "one")).toBe(true);
  expect(keepFile(path, "two")).toBe(true);
  expect(readFileSync(path, "utf8")).toBe("two");
  for (const [kept, mode] of [
    [path, 0o600],
    [join(folder, "a", "b"), 0o700],
    [join(folder, "a"), 0o700],
  ] as const) {
    expect(statSync(kept).mode & 0o777).toBe(mode);
  }
});

test("[CLI19] where nothing can be made, as below /proc, it gives up", () => {
  expect(keepFile("/proc/nope/cursors/x", "text")).toBe(false);
});
