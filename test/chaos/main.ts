/** `npm run chaos`. SPEC.md, CHAOS. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type ChaosOptions, type HostName, runChaos } from "./run.ts";

const HELP = `npm run chaos -- [options]

Kills gateways again and again while clients follow them, and checks what is left.
It takes about half an hour, with --short a minute.

  --seed N      as a run before; it prints its seed
  --host H      gateway, in-process or both (both)
  --sessions N  at least so many on each host (30; short: 4)
  --kills N     so many on each host (300; short: 10)
  --short       leaves out what takes long
  --keep DIR    leaves the logs, the frames and the kills there, whatever comes of it
  --help        shows this

It exits with 0 when everything held, 1 when something did not, 2 when it is called wrongly.`;

const HOSTS: Readonly<Record<string, readonly HostName[]>> = {
  gateway: ["gateway"],
  "in-process": ["in-process"],
  both: ["gateway", "in-process"],
};

const options = read();
if (options === null) console.log(HELP);
// Clients that were watching a host which failed go on trying.
process.exit(options === null || (await runChaos(options)) ? 0 : 1);

/** What was asked for; null for help. Ends the process where it is nothing that there is. */
function read(): ChaosOptions | null {
  try {
    return parse();
  } catch (thrown) {
    const [line] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n");
    console.error(`${line} See --help.`);
    process.exit(2);
  }
}

function parse(): ChaosOptions | null {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      sessions: { type: "string" },
      kills: { type: "string" },
      host: { type: "string", default: "both" },
      keep: { type: "string" },
      short: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const { short } = values;
  const hosts = HOSTS[values.host];
  if (hosts === undefined) throw new Error(`--host must be one of ${Object.keys(HOSTS).join(", ")}.`);
  return {
    seed: countOf("seed", values.seed, Math.floor(Math.random() * 1_000_000)),
    sessions: countOf("sessions", values.sessions, short ? 4 : 30),
    kills: countOf("kills", values.kills, short ? 10 : 300),
    hosts,
    short,
    keep: values.keep === undefined ? null : resolve(values.keep),
  };
}

function countOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number, not "${text}".`);
  return Number(text);
}
