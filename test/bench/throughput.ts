import { type Figure, quantile, type Result, type Row, round } from "./figures.ts";
import type { Load } from "./load.ts";
import type { Setting } from "./setting.ts";
import { floorTarget, gatewayTarget } from "./stream-target.ts";
import { watchStream } from "./watch-stream.ts";

const CLIENTS = [1, 10, 50, 200];
const TARGETS: ReadonlyMap<number, number> = new Map([
  [1, 15_000],
  [200, 1_000_000],
]);
const ROUNDS = 5;
const LOAD: Load = { deltas: 30_000, delayMs: 0, size: 40 };

/** How many deltas reach clients a second where the model sends them as fast as they are taken. */
export async function measureThroughput(setting: Setting, asked: number | null): Promise<Figure> {
  const targets = [floorTarget(await setting.floor()), gatewayTarget(await setting.gateway())];
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const clients of CLIENTS) {
    const rounds = targets.map((): number[] => []);
    // In turns, so that what else the machine does falls on both. The first round does not count.
    for (let round = -1; round < (asked ?? ROUNDS); round++) {
      for (const [index, target] of targets.entries()) {
        const { seconds } = await watchStream(target, clients, LOAD, "after");
        if (round >= 0) rounds[index]?.push((LOAD.deltas * clients) / seconds);
      }
    }
    const [floor = Number.NaN, gateway = Number.NaN] = rounds.map((found) => quantile(found, 0.5));
    rows.push({
      name: `${clients} ${clients === 1 ? "client" : "clients"}`,
      values: [round(floor), round(gateway), round(gateway / floor)],
    });
    const atLeast = TARGETS.get(clients);
    results.push({
      what: `delivered deltas a second, flat out, ${clients} ${clients === 1 ? "client" : "clients"}`,
      unit: "/s",
      floor,
      reached: gateway,
      target: atLeast === undefined ? null : { of: "reached" as const, atLeast },
    });
  }
  return {
    title: `Deltas delivered a second, flat out: median of ${asked ?? ROUNDS} rounds of ${LOAD.deltas} deltas`,
    columns: [...targets.map(({ name }) => `${name} /s`), "ratio"],
    rows,
    results,
  };
}
