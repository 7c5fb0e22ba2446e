import { session, turnResult } from "../../src/protocol/rest.ts";
import { type Figure, median, type Result, type Row, TIME_COLUMNS, timeRow } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import {
  floorLog,
  gatewayLog,
  inPages,
  type Log,
  overEventStream,
  overSocket,
  PAGE_EVENTS,
  type Way,
} from "./replay-target.ts";
import { sessionClient } from "./session-client.ts";
import type { Setting } from "./setting.ts";

const EVENTS = 10_000;
const ROUNDS = 15;
const AT_MOST_MS = 100;
/** Calls of a tool that there is not: each is two events of 300 bytes, and nothing but the log is used. */
const CALLS_A_MESSAGE = 120;
const MESSAGES_A_TURN = 12;

const WAYS: readonly (readonly [string, Way])[] = [
  ["over a WebSocket", overSocket],
  ["as server-sent events", overEventStream],
  [`in pages of ${PAGE_EVENTS}`, inPages],
];

/** How long it takes to read 10,000 events of a log, from the request to the last byte. */
export async function measureReplay(setting: Setting, asked: number | null): Promise<Figure> {
  const gateway = await setting.gateway();
  const ours = await makeLog(gateway);
  const { frames } = await overSocket(ours, EVENTS);
  const logs = [await floorLog(await setting.floor(), frames), ours];
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const [what, way] of WAYS) {
    const samples = await inTurns(logs, { rounds: asked ?? ROUNDS, warmUp: 2 }, async (log) => {
      const read = await way(log, EVENTS);
      check(read.frames, `${log.name} ${what}`);
      return read.ms;
    });
    rows.push(...logs.map(({ name }, index) => timeRow(`${what}: ${name}`, samples[index] ?? [])));
    const [floor = Number.NaN, reached = Number.NaN] = samples.map(median);
    results.push({
      what: `replay of ${EVENTS.toLocaleString("en-US")} events ${what}`,
      unit: "ms",
      floor,
      reached,
      target: { of: "reached", atMost: AT_MOST_MS },
    });
  }
  const bytes = frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  return {
    title: `Reading ${EVENTS} events of ${Math.round(bytes / EVENTS)} bytes each, from the request to the last byte`,
    columns: TIME_COLUMNS,
    rows,
    results,
  };
}

/** A session with so many events, by turns of the demo model. */
async function makeLog(gateway: { url: string; token: string }): Promise<Log> {
  const client = sessionClient(gateway);
  const { session_id } = await client.post("/sessions", { model: "demo" }, session);
  const call = (number: number) => `Call lookup with {"path":"notes/${number}","what":"the entry"}`;
  const message = `At once: ${Array.from({ length: CALLS_A_MESSAGE }, (_, number) => call(number)).join(" & ")}`;
  const user_input = Array.from({ length: MESSAGES_A_TURN }, () => message).join("; ");
  for (;;) {
    await client.post(`/sessions/${session_id}/turns?wait=true`, { user_input }, turnResult);
    const { last_seq } = await client.get(`/sessions/${session_id}`, session);
    if (last_seq >= EVENTS)
      return gatewayLog(gateway, session_id, { after: `${last_seq - EVENTS}`, last: `${last_seq}` });
  }
}

/** @throws unless all events are there, in order */
function check(frames: readonly string[], where: string): void {
  const seqs = frames.map((frame) => Number(/^\{"seq":(\d+)/.exec(frame)?.[1]));
  const first = seqs[0] ?? Number.NaN;
  if (seqs.length !== EVENTS || seqs.some((seq, index) => seq !== first + index)) {
    throw new Error(`${where}: ${frames.length} of ${EVENTS} events came, or in another order.`);
  }
}
