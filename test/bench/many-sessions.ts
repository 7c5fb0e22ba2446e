import type WebSocket from "ws";
import { type Figure, median, quantile, type Result, type Row, round } from "./figures.ts";
import { type Load, PACED_DELAY_MS } from "./load.ts";
import { RuntimeUse } from "./runtime-use.ts";
import type { Setting } from "./setting.ts";
import { StreamClient } from "./stream-client.ts";
import { floorTarget, gatewayTarget, type StreamTarget } from "./stream-target.ts";

const SESSIONS = 500;
/** Sessions that are created and opened at a time. */
const AT_ONCE = 25;
/** A tenth of the pace of the other figures. */
const LIGHT: Load = { deltas: 40, delayMs: 10 * PACED_DELAY_MS, size: 40 };
/** The pace of the other figures: of so many sessions it is more than one runtime carries, and everything lags behind. */
const FULL: Load = { deltas: 200, delayMs: PACED_DELAY_MS, size: 40 };
/** What has not ended by then counts as not completed. */
const DEADLINE_MS = 120_000;

/** NaN stands for what could not be measured: lags where no delta came, memory and processor where there is no /proc. */
type Streamed = { completed: number; p50: number; p99: number; perSecond: number; processorMs: number };
/** Memory in kB a session. */
type Measured = { light: Streamed; full: Streamed; open: number; peak: number };

/** How many sessions stream at once, how late their deltas are, and what each takes of the runtime's memory. */
export async function measureManySessions(setting: Setting, asked: number | null): Promise<Figure> {
  const floors: Measured[] = [];
  const gateways: Measured[] = [];
  for (let run = 0; run < (asked ?? 1); run++) {
    // New ones, for memory that earlier work has left behind would hide what the sessions take.
    {
      await using floor = await setting.startFloor();
      floors.push(await measure(floorTarget(floor.stdout.trim()), floor.group));
    }
    await using gateway = await setting.startGateway();
    gateways.push(await measure(gatewayTarget(gateway), gateway.process.group));
    if (gateway.process.stderr !== "") console.error(`The gateway printed:\n${gateway.process.stderr}`);
  }
  const row = (name: string, of: (one: Measured) => number): Row => ({
    name,
    values: [floors, gateways].map((runs) => round(median(runs.map(of)))),
  });
  const rowsOf = ({ deltas, delayMs }: Load, of: (one: Measured) => Streamed): Row[] => [
    row(`${deltas} deltas, ${delayMs} ms a delta: completed`, (one) => of(one).completed),
    row("  lag, p50, ms", (one) => of(one).p50),
    row("  lag, p99, ms", (one) => of(one).p99),
    row("  deltas a second", (one) => of(one).perSecond),
    row("  processor time of the runtime, ms a turn", (one) => of(one).processorMs / SESSIONS),
  ];
  const result = (what: string, unit: string, of: (one: Measured) => number): Result => ({
    what: `${SESSIONS} sessions stream at once: ${what}`,
    unit,
    floor: median(floors.map(of)),
    reached: median(gateways.map(of)),
    target: null,
  });
  return {
    title: `${SESSIONS} sessions that stream at once, a client each`,
    columns: ["bare objects that broadcast", "Turnpike"],
    rows: [
      ...rowsOf(LIGHT, ({ light }) => light),
      ...rowsOf(FULL, ({ full }) => full),
      row("memory a session, open and idle, kB", ({ open }) => open),
      row("memory a session, the most while they stream, kB", ({ peak }) => peak),
    ],
    results: [
      {
        ...result(`completed, ${FULL.delayMs} ms a delta`, "sessions", ({ full }) => full.completed),
        target: { of: "reached" as const, atLeast: SESSIONS },
      },
      result(`lag, p99, ${FULL.delayMs} ms a delta`, "ms", ({ full }) => full.p99),
      result(`lag, p99, ${LIGHT.delayMs} ms a delta`, "ms", ({ light }) => light.p99),
      result("memory a session, open and idle", "kB", ({ open }) => open),
      result("memory a session, the most", "kB", ({ peak }) => peak),
    ].filter(({ reached }) => !Number.isNaN(reached)),
  };
}

async function measure(target: StreamTarget, group: number): Promise<Measured> {
  const use = new RuntimeUse(group);
  const sockets: WebSocket[] = [];
  const openMore = async (count: number) => {
    const more = Array.from({ length: count }, async () => target.open(await target.create()));
    sockets.push(...(await Promise.all(more)));
  };
  try {
    // What is loaded once is no session's.
    await openMore(1);
    await streamToAll(target, use, sockets, LIGHT);
    const before = use.memory();
    const added = SESSIONS - sockets.length;
    while (sockets.length < SESSIONS) await openMore(Math.min(AT_ONCE, SESSIONS - sockets.length));
    const open = use.memory();
    const light = await streamToAll(target, use, sockets, LIGHT);
    const streaming = streamToAll(target, use, sockets, FULL);
    const peak = await use.peakOf(streaming);
    return { light, full: await streaming, open: (open - before) / added, peak: (peak - before) / added };
  } finally {
    for (const socket of sockets) socket.terminate();
  }
}

/** Has each socket's session stream a load, all at the same time. Tells on stderr why some have not completed. */
async function streamToAll(target: StreamTarget, use: RuntimeUse, sockets: WebSocket[], load: Load): Promise<Streamed> {
  const clients = sockets.map((socket) => new StreamClient(socket, target, true));
  const late = Promise.withResolvers<never>();
  const deadline = setTimeout(() => late.reject(new Error("A session had not ended in time.")), DEADLINE_MS);
  try {
    const processorMs = use.processorMs();
    const started = performance.now();
    for (const { socket } of clients) target.begin(socket, load);
    const ends = await Promise.allSettled(
      clients.map(async (client) => {
        await Promise.race([client.ended, late.promise]);
        client.check(load, client);
      }),
    );
    const seconds = (performance.now() - started) / 1_000;
    const failures = ends.flatMap((end) => (end.status === "rejected" ? [String(end.reason)] : []));
    for (const failure of new Set(failures)) {
      console.error(`${target.name}: ${failure} (${failures.filter((other) => other === failure).length} times)`);
    }
    const lags = clients.flatMap((client) => client.lags);
    const lagOf = (share: number) => (lags.length === 0 ? Number.NaN : quantile(lags, share));
    return {
      completed: ends.length - failures.length,
      p50: lagOf(0.5),
      p99: lagOf(0.99),
      perSecond: lags.length / seconds,
      processorMs: use.processorMs() - processorMs,
    };
  } finally {
    clearTimeout(deadline);
    for (const client of clients) client[Symbol.dispose]();
  }
}
