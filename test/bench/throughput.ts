import { type Figure, median, type Result, type Row, round } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import type { Load } from "./load.ts";
import type { Setting } from "./setting.ts";
import { floorTarget, gatewayTarget } from "./stream-target.ts";
import { watchStream } from "./watch-stream.ts";

/** Fewer deltas for many clients: all that reaches any of them is kept until the end. */
const SIZES: readonly { clients: number; deltas: number; atLeast: number | null }[] = [
  { clients: 1, deltas: 30_000, atLeast: 15_000 },
  { clients: 10, deltas: 30_000, atLeast: null },
  { clients: 50, deltas: 10_000, atLeast: null },
  { clients: 200, deltas: 10_000, atLeast: 1_000_000 },
];
const ROUNDS = 5;

/** How many deltas reach clients a second where the model sends them as fast as they are taken. */
export async function measureThroughput(setting: Setting, asked: number | null): Promise<Figure> {
  const targets = [floorTarget(await setting.floor()), gatewayTarget(await setting.gateway())];
  const rounds = asked ?? ROUNDS;
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const { clients, deltas, atLeast } of SIZES) {
    const load: Load = { deltas, delayMs: 0, size: 40 };
    const found = await inTurns(targets, { rounds, warmUp: 1 }, async (target) => {
      const { seconds } = await watchStream(target, clients, load, "after");
      return (deltas * clients) / seconds;
    });
    const [floor = Number.NaN, gateway = Number.NaN] = found.map(median);
    const name = `${clients} ${clients === 1 ? "client" : "clients"}`;
    rows.push({ name, values: [floor, gateway, gateway / floor].map(round) });
    results.push({
      what: `delivered deltas a second, flat out, ${name}`,
      unit: "/s",
      floor,
      reached: gateway,
      target: atLeast === null ? null : { of: "reached" as const, atLeast },
    });
  }
  const deltasText = SIZES.map(({ clients, deltas }) => `${deltas} deltas to ${clients}`).join(", ");
  return {
    title: `Deltas delivered a second, flat out: median of ${rounds} rounds of ${deltasText} (the bare object sends all that the model frames them with, four times the bytes)`,
    columns: [...targets.map(({ name }) => `${name} /s`), "ratio"],
    rows,
    results,
  };
}
