import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { copyProject } from "../support/project-copy.ts";
import { runProcess } from "../support/run-process.ts";

const figure = z.object({
  rows: z.array(z.object({ name: z.string(), values: z.array(z.number()) })),
  results: z.array(z.object({ what: z.string(), reached: z.number(), floor: z.number().nullable() })),
});
const results = z.object({ machine: z.object({ cpu: z.string() }), figures: z.object({ start: figure }) });

test("[PACK8] [BENCH1] npm run bench -- start measures how soon a run's request is sent, and tells of a missed target", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  const { code, stdout, stderr } = await runProcess("npm", ["run", "bench", "--", "start", "--runs", "1"], { cwd });
  expect(stdout, stderr).toMatch(/^node -e 0.*\n.*by node:http .*\nturnpike run, built .*\nturnpike run, sources /m);
  expect(stdout).toMatch(/^\| in-process: process start to request sent, median \| at most 300 ms \| .* \| .* \|$/m);
  const { rows, results: found } = results.parse(JSON.parse(readFileSync(join(cwd, "bench_results.json"), "utf8")))
    .figures.start;
  for (const { values } of rows) {
    const [runs, min = 0, ...others] = values;
    expect(runs).toBe(1);
    expect(min).toBeGreaterThan(0);
    expect(others).toEqual([min, min]);
  }
  expect(found).toHaveLength(1);
  expect(code).toBe(found.every(({ reached }) => reached <= 300) ? 0 : 1);
});
