import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { copyProject } from "../support/project-copy.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const machine = z.object({ cpu: z.string() });
const figure = z.object({
  at: z.iso.datetime(),
  machine,
  rows: z.array(z.object({ name: z.string(), values: z.array(z.number()) })),
  results: z.array(z.object({ what: z.string(), reached: z.number(), floor: z.number().nullable() })),
});
const results = z.object({ machine, figures: z.record(z.string(), figure) });

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
  expect(stdout, stderr).toMatch(
    /^a bare Worker .*\nTurnpike .*\nTurnpike, the first turn .*\n(met|MISSED|reported): `execute` to first TEXT/m,
  );
  const { rows, results: found } = readFigure(cwd, "first-text");
  expect(rows.map(({ values }) => values[0])).toEqual([2, 2, 2]);
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

test("[BENCH3] [BENCH4] [BENCH5] a folder that is not the peer's is told before anything is measured; a figure that fails is told and named, and what was found before is kept", async () => {
  using folder = new TemporaryFolder();
  const { path: cwd } = folder;
  const args = [join(PROJECT_ROOT, "test/bench/main.ts"), "peer", "--peer", cwd];
  const mistaken = await runProcess(process.execPath, args, { cwd });
  expect(mistaken.code).toBe(2);
  expect(mistaken.stderr).toContain(`there is no serve.sh in ${cwd}.`);
  writeFileSync(join(cwd, "serve.sh"), "echo 'no packages' >&2; exit 1");
  const figures = { peer: { at: "2026-01-01T00:00:00.000Z", rows: [], results: [] } };
  writeFileSync(join(cwd, "bench_results.json"), JSON.stringify({ figures }));
  const { code, stderr } = await runProcess(process.execPath, args, { cwd });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^peer: failed\..*\n+no packages$/ms);
  expect(JSON.parse(readFileSync(join(cwd, "bench_results.json"), "utf8"))).toMatchObject({
    failed: ["peer"],
    figures,
  });
});

test("[BENCH4] a run that is interrupted leaves no process and no folder", async () => {
  using folder = new TemporaryFolder();
  const { path } = folder;
  const below = () => readdirSync(path, { recursive: true, encoding: "utf8" });
  const processes = async () => (await runProcess("ps", ["-A", "-o", "args="], { cwd: path })).stdout;
  const options = { cwd: PROJECT_ROOT, env: { TMPDIR: path } };
  await using running = new RunningProcess(process.execPath, ["test/bench/main.ts", "lag"], options);
  // It has the folder of a gateway's state on its command line.
  await expect.poll(processes, { timeout: 60_000 }).toContain(path);
  running.child.kill("SIGINT");
  expect(await running.outcome()).toBe(130);
  expect(below()).toEqual([]);
  // A process is listed until the system has cleared it away.
  await expect.poll(processes, { timeout: 60_000 }).not.toContain(path);
});
