import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { wranglerIn } from "../../src/cli/call-wrangler.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { median } from "./figures.ts";

const RUNS = 5;

/** What is read of a profile as V8 writes it: times in microseconds, and for each sample its node. */
const cpuProfile = z.object({
  nodes: z.array(z.object({ id: z.int(), callFrame: z.object({ functionName: z.string() }) })),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.number()),
});

/** The CPU time of the Worker's start on this machine, of which the platform allows a second. */
export async function measureStartUp(asked: number | null): Promise<{ milliseconds: number; how: string }> {
  const runs = asked ?? RUNS;
  using folder = new TemporaryFolder();
  const times: number[] = [];
  for (let run = 0; run < runs; run++) times.push(await profileOnce(join(folder.path, `${run}.cpuprofile`)));
  const range = `${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)}`;
  return {
    milliseconds: median(times),
    how: `wrangler check startup: active time in workerd while the Worker is loaded, median of ${runs} (${range})`,
  };
}

/** What wrangler shows as active, unrounded: all samples of its profile in which something ran. */
async function profileOnce(outfile: string): Promise<number> {
  const { ok, said } = await wranglerIn(PROJECT_ROOT)(["check", "startup", "--outfile", outfile]);
  if (!ok) throw new Error(`wrangler check startup failed:\n${said}`);
  const { nodes, samples, timeDeltas } = cpuProfile.parse(JSON.parse(readFileSync(outfile, "utf8")));
  const idle = new Set(nodes.filter(({ callFrame }) => callFrame.functionName === "(idle)").map(({ id }) => id));
  return timeDeltas.reduce((sum, delta, i) => (idle.has(samples[i] ?? 0) ? sum : sum + delta), 0) / 1_000;
}
