/** `npm run bench -- [--runs N] [--peer FOLDER] [FIGURE…]`: measures what the project promises. SPEC.md, BENCH. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { exitOnSignals } from "../../src/cli/failure.ts";
import { measureWorker } from "./bundle.ts";
import { type Figure, isMet, summaryOf, tableOf } from "./figures.ts";
import { measureFirstText } from "./first-text.ts";
import { measureLag } from "./lag.ts";
import { measureManySessions } from "./many-sessions.ts";
import { measureOperations } from "./operations.ts";
import { measurePeer } from "./peer.ts";
import { measureReplay } from "./replay.ts";
import { measureRows } from "./rows.ts";
import { measureSessions } from "./sessions.ts";
import { Setting } from "./setting.ts";
import { measureStart } from "./start.ts";
import { measureThroughput } from "./throughput.ts";
import { measureWatcherBytes } from "./watcher-bytes.ts";

/** Each gives null where it is left out, and has then said so. */
const FIGURES: ReadonlyMap<string, (setting: Setting, runs: number | null) => Promise<Figure | null>> = new Map([
  ["first-text", measureFirstText],
  ["lag", measureLag],
  ["throughput", measureThroughput],
  ["many-sessions", measureManySessions],
  ["replay", measureReplay],
  ["sessions", measureSessions],
  ["rows", measureRows],
  ["watcher-bytes", measureWatcherBytes],
  ["operations", measureOperations],
  ["bundle", measureWorker],
  ["start", measureStart],
  ["peer", (setting: Setting, rounds: number | null) => measurePeer(setting, peer, rounds)],
]);
const RESULTS = "bench_results.json";

const asked = readArguments();
if (asked instanceof Error) {
  console.error(asked.message);
  process.exit(2);
}
const { runs, names, peer } = asked;

/** What runs before have found. */
const results = z.object({ figures: z.record(z.string(), z.unknown()) });
const earlier = existsSync(RESULTS) ? results.parse(JSON.parse(readFileSync(RESULTS, "utf8"))).figures : {};

// What is started keeps its files there, runtimes that are killed too. Both go with this process, however it ends.
const folder = mkdtempSync(join(tmpdir(), "turnpike-bench-"));
process.env["TMPDIR"] = folder;
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
exitOnSignals("SIGINT", "SIGTERM", "SIGHUP");

const machine = {
  cpu: `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
};
const figures: Record<string, Figure> = {};
const failed: string[] = [];
await using setting = new Setting();
for (const [name, measure] of FIGURES) {
  if (!names.includes(name)) continue;
  const figure = await measure(setting, runs).catch((thrown: unknown) => {
    // The others may well be measured, and have taken minutes.
    console.error(`${name}: failed.`, thrown);
    failed.push(name);
    return null;
  });
  if (figure === null) continue;
  figures[name] = figure;
  console.log(`${tableOf(figure)}\n`);
}
console.log(summaryOf(Object.values(figures)));
const at = new Date().toISOString();
console.log(`\n${at.slice(0, 10)}, ${Object.values(machine).join(", ")}`);
const measured = Object.entries(figures).map(([name, figure]) => [name, { at, machine, ...figure }]);
const newest = { ...earlier, ...Object.fromEntries(measured) };
writeFileSync(RESULTS, `${JSON.stringify({ at, machine, figures: newest, failed }, null, 2)}\n`);
const missed = Object.values(figures).flatMap(({ results }) => results.filter((result) => !isMet(result)));
if (missed.length + failed.length > 0) process.exitCode = 1;

/** What was asked for; `runs` null: each figure takes as many as it needs; `peer` null: there is no folder of the peer's. */
function readArguments(): { runs: number | null; names: string[]; peer: string | null } | Error {
  let parsed: { values: { runs?: string | undefined; peer?: string | undefined }; positionals: string[] };
  try {
    parsed = parseArgs({ options: { runs: { type: "string" }, peer: { type: "string" } }, allowPositionals: true });
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  const { values, positionals } = parsed;
  const runs = values.runs === undefined ? null : Number(values.runs);
  if (runs !== null && !(Number.isInteger(runs) && runs >= 1)) return new Error("--runs must be a number from 1 on.");
  const unknown = positionals.find((name) => !FIGURES.has(name));
  if (unknown !== undefined)
    return new Error(`There is no figure '${unknown}', but ${[...FIGURES.keys()].join(", ")}.`);
  if (values.peer !== undefined && !existsSync(join(values.peer, "serve.sh")))
    return new Error(`--peer must be the folder of the peer's bench: there is no serve.sh in ${values.peer}.`);
  const names = positionals.length === 0 ? [...FIGURES.keys()] : positionals;
  return { runs, names, peer: values.peer ?? null };
}
