import { endBuilds } from "../../src/cli/build-worker.ts";
import { ALL_MAX_GZIPPED, EAGER_MAX_GZIPPED, measureBundle } from "./bundle-size.ts";
import { type Figure, round } from "./figures.ts";
import type { Setting } from "./setting.ts";
import { measureStartUp } from "./startup.ts";

/** What the Worker weighs, and how long the runtime takes to load it. */
export async function measureWorker(_: Setting, asked: number | null): Promise<Figure> {
  const { eager, all, modules } = await measureBundle();
  await endBuilds();
  const { milliseconds, how } = await measureStartUp(asked);
  return {
    title: `The Worker's modules, gzipped; start-up by ${how}`,
    columns: ["kB", "loaded by each start"],
    rows: modules.map(({ name, gzipped, lazy }) => ({ name, values: [round(gzipped / 1_000), lazy ? 0 : 1] })),
    results: [
      {
        what: "Worker, gzipped, loaded by each start",
        unit: "kB",
        floor: null,
        reached: eager.gzipped / 1_000,
        target: { of: "reached", atMost: EAGER_MAX_GZIPPED / 1_000 },
      },
      {
        what: "Worker, gzipped, with what loads lazily",
        unit: "kB",
        floor: null,
        reached: all.gzipped / 1_000,
        target: { of: "reached", atMost: ALL_MAX_GZIPPED / 1_000 },
      },
      { what: "Worker's start-up", unit: "ms", floor: null, reached: milliseconds, target: null },
    ],
  };
}
