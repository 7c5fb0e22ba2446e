import { endBuilds } from "../../src/cli/build-worker.ts";
import { ALL_MAX_GZIPPED, EAGER_MAX_GZIPPED, measureBundle } from "./bundle-size.ts";
import { type Figure, reported, round } from "./figures.ts";
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
        ...reported("Worker, gzipped, loaded by each start", "kB", eager.gzipped / 1_000),
        target: { of: "reached", atMost: EAGER_MAX_GZIPPED / 1_000 },
      },
      {
        ...reported("Worker, gzipped, with what loads lazily", "kB", all.gzipped / 1_000),
        target: { of: "reached", atMost: ALL_MAX_GZIPPED / 1_000 },
      },
      reported("Worker's start-up", "ms", milliseconds),
    ],
  };
}
