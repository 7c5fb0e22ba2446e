import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { copyProject } from "../support/project-copy.ts";
import { runProcess } from "../support/run-process.ts";

const figure = z.object({
  rows: z.array(z.object({ name: z.string(), values: z.array(z.number()) })),
  results: z.array(z.object({ what: z.string(), reached: z.number(), floor: z.number().nullable() })),
});
const results = z.object({ machine: z.object({ cpu: z.string() }), figures: z.record(z.string(), figure) });

function readFigure(folder: string, name: string) {
  const text = readFileSync(join(folder, "bench_results.json"), "utf8");
  const found = results.parse(JSON.parse(text)).figures[name];
  if (found === undefined) throw new Error(`bench_results.json has no figure ${name}: ${text}`);
  return found;
}

test("[PACK8] [BENCH1] npm run bench -- start measures how soon a run's request is sent, and tells of a missed target", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  const { code, stdout, stderr } = await runProcess("npm", ["run", "bench", "--", "start", "--runs", "1"], { cwd });
  expect(stdout, stderr).toMatch(/^node -e 0.*\n.*by node:http .*\nturnpike run, built .*\nturnpike run, sources /m);
  expect(stdout).toMatch(/^\| in-process: process start to request sent, median \| at most 300 ms \| .* \| .* \|$/m);
  const { rows, results: found } = readFigure(cwd, "start");
  for (const { values } of rows) {
    const [runs, min = 0, ...others] = values;
    expect(runs).toBe(1);
    expect(min).toBeGreaterThan(0);
    expect(others).toEqual([min, min]);
  }
  expect(found).toHaveLength(1);
  expect(code).toBe(found.every(({ reached }) => reached <= 300) ? 0 : 1);
});

test("[BENCH1] [BENCH3] a figure stands beside its floor, from a model, a bare Worker and a gateway that the command starts and ends; that of the peer is left out without its folder", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  const args = ["run", "bench", "--", "first-text", "peer", "--runs", "2"];
  const { code, stdout, stderr } = await runProcess("npm", args, { cwd });
  expect(stdout).toMatch(/^peer: left out, .*--peer FOLDER$/m);
  expect(stdout, stderr).toMatch(/^a bare Worker .*\nTurnpike .*\n(met|MISSED|reported): `execute` to first TEXT/m);
  const { rows, results: found } = readFigure(cwd, "first-text");
  expect(rows.map(({ values }) => values[0])).toEqual([2, 2]);
  const [result] = found;
  expect(result?.floor).toBeGreaterThan(0);
  expect(result?.reached).toBeGreaterThan(0);
  expect(code).toBe(stdout.includes("MISSED") ? 1 : 0);
});

test("[BENCH1] a figure that there is not is told, with those that there are", async () => {
  const { code, stderr } = await runProcess("npm", ["run", "bench", "--", "speed"], { cwd: PROJECT_ROOT });
  expect(code).toBe(2);
  expect(stderr).toContain("There is no figure 'speed', but first-text, lag, ");
  expect(stderr).not.toContain("at file:");
});
