import { type Figure, median, quantile, round } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import { type Load, PACED_DELAY_MS } from "./load.ts";
import type { Setting } from "./setting.ts";
import { floorTarget, gatewayTarget } from "./stream-target.ts";
import { watchStream } from "./watch-stream.ts";

const CLIENTS = 50;
const ROUNDS = 7;
const LOAD: Load = { deltas: 600, delayMs: PACED_DELAY_MS, size: 40 };

/** How long a delta takes from the model to a client, where many watch and the model has its usual pace. */
export async function measureLag(setting: Setting, asked: number | null): Promise<Figure> {
  // New ones: what other figures have left in memory takes part in each pause of the collector.
  await using floorProcess = await setting.startFloor();
  await using gatewayProcess = await setting.startGateway();
  const targets = [floorTarget(floorProcess.stdout.trim()), gatewayTarget(gatewayProcess)];
  const rounds = asked ?? ROUNDS;
  const found = await inTurns(targets, { rounds, warmUp: 1 }, async (target) => {
    const { lags } = await watchStream(target, CLIENTS, LOAD, "lags");
    return { p50: quantile(lags, 0.5), p99: quantile(lags, 0.99) };
  });
  const [floor, gateway] = found.map((ofTarget) => {
    const p99s = ofTarget.map(({ p99 }) => p99);
    return { p50: median(ofTarget.map(({ p50 }) => p50)), p99: median(p99s), worst: Math.max(...p99s) };
  });
  if (floor === undefined || gateway === undefined) throw new Error("There are two targets.");
  const result = (what: "p50" | "p99", atMost: number) => ({
    what: `lag of deltas at ${CLIENTS} clients, paced, ${what}`,
    unit: "ms",
    floor: floor[what],
    reached: gateway[what],
    target: { of: "beyond the floor" as const, atMost },
  });
  return {
    title: `From a delta's making to its arrival at ${CLIENTS} clients, ${PACED_DELAY_MS} ms a delta: median of ${rounds} rounds, and the worst of them`,
    columns: ["p50 ms", "p99 ms", "worst p99 ms"],
    rows: targets.map(({ name }, index) => {
      const { p50, p99, worst } = index === 0 ? floor : gateway;
      return { name, values: [p50, p99, worst].map(round) };
    }),
    results: [result("p50", 1), result("p99", 5)],
  };
}
