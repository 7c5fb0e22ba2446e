import { type Figure, median, type Result, type Row, round } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
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
  const rounds = asked ?? ROUNDS;
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const clients of CLIENTS) {
    const found = await inTurns(targets, { rounds, warmUp: 1 }, async (target) => {
      const { seconds } = await watchStream(target, clients, LOAD, "after");
      return (LOAD.deltas * clients) / seconds;
    });
    const [floor = Number.NaN, gateway = Number.NaN] = found.map(median);
    const name = `${clients} ${clients === 1 ? "client" : "clients"}`;
    rows.push({ name, values: [floor, gateway, gateway / floor].map(round) });
    const atLeast = TARGETS.get(clients);
    results.push({
      what: `delivered deltas a second, flat out, ${name}`,
      unit: "/s",
      floor,
      reached: gateway,
      target: atLeast === undefined ? null : { of: "reached" as const, atLeast },
    });
  }
  return {
    title: `Deltas delivered a second, flat out: median of ${rounds} rounds of ${LOAD.deltas} deltas (the bare object sends all that the model frames them with, four times the bytes)`,
    columns: [...targets.map(({ name }) => `${name} /s`), "ratio"],
    rows,
    results,
  };
}
