/** `npm run chaos -- [--seed N] [--sessions N] [--kills N] [--host H] [--keep DIR] [--short]`. SPEC.md, CHAOS. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type HostName, runChaos } from "./run.ts";

const HOSTS: Readonly<Record<string, readonly HostName[]>> = {
  gateway: ["gateway"],
  "in-process": ["in-process"],
  both: ["gateway", "in-process"],
};

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    sessions: { type: "string" },
    kills: { type: "string" },
    host: { type: "string", default: "both" },
    keep: { type: "string" },
    short: { type: "boolean", default: false },
  },
});
const { short } = values;
const hosts = HOSTS[values.host];
if (hosts === undefined) throw new Error(`--host must be one of ${Object.keys(HOSTS).join(", ")}.`);
const held = await runChaos({
  seed: countOf("seed", values.seed, Math.floor(Math.random() * 1_000_000)),
  sessions: countOf("sessions", values.sessions, short ? 4 : 30),
  kills: countOf("kills", values.kills, short ? 10 : 300),
  hosts,
  short,
  keep: values.keep === undefined ? null : resolve(values.keep),
});
// Clients that were watching a host which failed go on trying.
process.exit(held ? 0 : 1);

function countOf(name: string, text: string | undefined, otherwise: number): number {
  const count = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(count) || count < 0) throw new Error(`--${name} must be a whole number.`);
  return count;
}
