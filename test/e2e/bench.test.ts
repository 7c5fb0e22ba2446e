import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { copyProject } from "../support/project-copy.ts";
import { runProcess } from "../support/run-process.ts";

const row = z.object({
  name: z.string(),
  runs: z.int(),
  min_ms: z.number(),
  median_ms: z.number(),
  p90_ms: z.number(),
});
const results = z.object({ figures: z.object({ start: z.object({ rows: z.array(row) }) }) });

test("[PACK8] npm run bench -- start measures how soon a run's request is sent, and tells of a missed target", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  const { code, stdout, stderr } = await runProcess("npm", ["run", "bench", "--", "start", "--runs", "1"], { cwd });
  expect(stdout, stderr).toMatch(/^node -e 0.*\n.*by node:http .*\nturnpike run, built .*\nturnpike run, sources /m);
  const { rows } = results.parse(JSON.parse(readFileSync(join(cwd, "bench_results.json"), "utf8"))).figures.start;
  for (const { runs, min_ms, median_ms, p90_ms } of rows) {
    expect(runs).toBe(1);
    expect(min_ms).toBeGreaterThan(0);
    expect([median_ms, p90_ms]).toEqual([min_ms, min_ms]);
  }
  const met = rows.some(({ name, median_ms }) => name.startsWith("turnpike run") && median_ms < 300);
  expect(code).toBe(met ? 0 : 1);
});
