/** `npm run bench -- [--runs N] [FIGURE…]`: measures what the project promises of time. SPEC.md, PACK. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Figure, meetsTarget, tableOf } from "./figures.ts";
import { measureStart } from "./start.ts";

const FIGURES: ReadonlyMap<string, (runs: number) => Promise<Figure>> = new Map([["start", measureStart]]);
const RESULTS = "bench_results.json";

const { values, positionals } = parseArgs({
  options: { runs: { type: "string", default: "20" } },
  allowPositionals: true,
});
const runs = Number(values.runs);
const names = positionals.length === 0 ? [...FIGURES.keys()] : positionals;
if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs must be a number from 1 on.");

const results: Record<string, Figure> = {};
for (const name of names) {
  const measure = FIGURES.get(name);
  if (measure === undefined) throw new Error(`There is no figure '${name}', but ${[...FIGURES.keys()].join(", ")}.`);
  results[name] = await measure(runs);
  console.log(`${tableOf(results[name])}\n`);
}
const machine = { node: process.version, platform: `${process.platform} ${process.arch}` };
writeFileSync(RESULTS, `${JSON.stringify({ at: new Date().toISOString(), ...machine, figures: results }, null, 2)}\n`);
if (!Object.values(results).every(meetsTarget)) process.exitCode = 1;
