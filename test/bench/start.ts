import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { type Figure, median, TIME_COLUMNS, timeRow } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import { ModelServer } from "./model-server.ts";
import type { Setting } from "./setting.ts";

const RUNS = 20;
const MEDIAN_AT_MOST_MS = 300;
/** Runs that do not count: they fill the caches, the system's and our own. */
const WARM_UP_RUNS = 2;

/** The least that a program has to do which sends a request from Node. */
const BARE_REQUEST = `
  const { request } = require("node:http");
  request(process.argv[1], { method: "POST" }, (response) => response.resume()).end("{}");
`;

const BARE = "a bare request by node:http";
/** What is installed; the sources are for those who work on them. */
const BUILT = "turnpike run, built";

type Case = {
  name: string;
  args: (url: string) => string[];
  until: "request" | "exit";
  /** Whether TURNPIKE_HOME is as the run before left it. */
  home: "kept" | "empty";
};

const turnpike = (main: string) => () => [join(PROJECT_ROOT, main), "run", "Say hello"];

const CASES: Case[] = [
  { name: "node -e 0, to its exit", args: () => ["-e", "0"], until: "exit", home: "kept" },
  { name: BARE, args: (url) => ["-e", BARE_REQUEST, url], until: "request", home: "kept" },
  { name: BUILT, args: turnpike("dist/cli/main.js"), until: "request", home: "kept" },
  { name: "turnpike run, sources", args: turnpike("src/cli/main.ts"), until: "request", home: "kept" },
  { name: "the first turnpike run, built", args: turnpike("dist/cli/main.js"), until: "request", home: "empty" },
  { name: "the first turnpike run, sources", args: turnpike("src/cli/main.ts"), until: "request", home: "empty" },
];

/** How long it takes from a process's start until its request reaches a model's server. */
export async function measureStart(_: Setting, asked: number | null): Promise<Figure> {
  const built = await runProcess("npm", ["run", "build"], { cwd: PROJECT_ROOT });
  if (built.code !== 0) throw new Error(`npm run build ended with ${built.code}:\n${built.stdout}\n${built.stderr}`);
  using folder = new TemporaryFolder();
  await using server = await ModelServer.start();
  const rounds = { rounds: asked ?? RUNS, warmUp: WARM_UP_RUNS };
  const found = await inTurns([...CASES.entries()], rounds, ([index, one]) =>
    measureOnce(one, server, join(folder.path, `${index}`)),
  );
  const medianOf = (name: string) => median(found[CASES.findIndex((one) => one.name === name)] ?? []);
  return {
    title: "From the start of a process to its request at the model's server",
    columns: TIME_COLUMNS,
    rows: CASES.map(({ name }, index) => timeRow(name, found[index] ?? [])),
    results: [
      {
        what: "in-process: process start to request sent, median",
        unit: "ms",
        floor: medianOf(BARE),
        reached: medianOf(BUILT),
        target: { of: "reached", atMost: MEDIAN_AT_MOST_MS },
      },
    ],
  };
}

async function measureOnce({ args, until, home }: Case, server: ModelServer, folder: string): Promise<number> {
  if (home === "empty") rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const env = {
    TURNPIKE_HOME: join(folder, "home"),
    GATEWAY_MODEL: "claude-bench",
    ANTHROPIC_BASE_URL: server.url,
    // The command keeps its own.
    NODE_COMPILE_CACHE: "",
  };
  const arrival = server.nextArrival();
  const started = performance.now();
  await using running = new RunningProcess(process.execPath, args(server.url), { cwd: folder, env });
  const ended = running.ended.then(() => performance.now());
  const at = until === "exit" ? await ended : await Promise.race([arrival, ended.then(() => null)]);
  const code = await running.outcome();
  if (at === null || code !== 0) throw new Error(`${args("").join(" ")} ended with ${code}:\n${running.stderr}`);
  return at - started;
}
