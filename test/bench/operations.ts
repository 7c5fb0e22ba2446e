import type { ExternalGateway } from "../../src/client/external-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { Counts } from "./counts.ts";
import { type Figure, reported } from "./figures.ts";
import type { MeteredGateway } from "./metered-gateway.ts";
import { billOf, priceOf } from "./prices.ts";
import type { Setting } from "./setting.ts";
import { TURN_BEFORE, typicalTurn } from "./typical-turn.ts";

const TURNS = 1_000;
const DOLLARS_AT_MOST = 0.2;
const LOAD = { deltas: 800, delayMs: 75 };
/** So it is by the load. A timer comes late, on a busy machine by several milliseconds: that is not the turn's. */
const MODEL_SECONDS = (LOAD.deltas * LOAD.delayMs) / 1_000;
const CLIENTS = 3;
/** An object that nothing happens in hibernates after this time. Cloudflare's page says that it is not billed for it. */
const HIBERNATES_AFTER_SECONDS = 10;

/**
 * What a turn of an agent is billed for, which three clients of our library watch: one that asks for it, and two that
 * connect before. It takes as long as it says, so that heartbeats and acknowledgements are counted and not derived.
 */
export async function measureOperations(setting: Setting): Promise<Figure> {
  const gateway = await setting.metered();
  const id = await gateway.createSession();
  const before = await gateway.run(id, TURN_BEFORE);
  let ran = { wall: 0, tools: 0 };
  const counted = await gateway.count(id, async () => {
    ran = await runWatched(gateway, id, before.at(-1)?.cursor ?? "0");
  });
  const seconds = MODEL_SECONDS + ran.tools;
  const bill = billOf(counted, seconds);
  const dollars = TURNS * priceOf(bill);
  const waited = TURNS * (priceOf(billOf(counted, seconds + HIBERNATES_AFTER_SECONDS)) - priceOf(bill));
  // Small as they are.
  const fine = (value: number) => Number(value.toPrecision(3));
  return {
    title: `What a turn with six tool calls does: ${LOAD.deltas} deltas in ${MODEL_SECONDS} s (here ${ran.wall.toFixed(1)}), ${CLIENTS} clients`,
    columns: ["a turn", `$ for ${TURNS.toLocaleString("en-US")}`],
    rows: [
      ...bill.map((line) => ({ name: line.name, values: [fine(line.count), fine(TURNS * priceOf([line]))] })),
      { name: "in all", values: [1, fine(dollars)] },
      { name: `${HIBERNATES_AFTER_SECONDS} s until it hibernates, not billed`, values: [1, fine(waited)] },
      ...details(counted),
    ],
    results: [
      reported("R2 operations of a turn with six tool calls: class A", "operations", counted.r2ClassA),
      reported("R2 operations of a turn with six tool calls: class B", "operations", counted.r2ClassB),
      reported("D1 statements of a turn with six tool calls", "statements", counted.d1Statements),
      reported("D1 rows written by a turn with six tool calls", "rows", counted.d1RowsWritten),
      {
        ...reported(
          `platform cost of ${TURNS.toLocaleString("en-US")} typical turns, from the counted operations`,
          "$",
          dollars,
        ),
        target: { of: "reached", atMost: DOLLARS_AT_MOST },
      },
    ],
  };
}

/** What stands behind the lines of the bill. */
function details({ socketMessages, objectRequests, alarms, alarmsSet, d1Statements }: Counts): Figure["rows"] {
  const row = (name: string, count: number) => ({ name, values: [count, Number.NaN] });
  return [
    row("messages of clients, 20 a request", socketMessages),
    row("calls of the object and sockets opened", objectRequests),
    row("alarms that went off", alarms),
    row("alarms set, a row each", alarmsSet),
    row("D1 statements", d1Statements),
  ];
}

/** Returns for how many seconds the turn ran, and for how many of them its tools did. */
async function runWatched(
  gateway: MeteredGateway,
  id: string,
  after: string,
): Promise<{ wall: number; tools: number }> {
  const watching = Array.from({ length: CLIENTS - 1 }, () => watch(gateway.client(), id, after));
  const started = performance.now();
  const events = await gateway.run(id, typicalTurn(LOAD));
  const wall = (performance.now() - started) / 1_000;
  await Promise.all(watching);
  return { wall, tools: secondsOfTools(events) };
}

/** Follows a session up to the end of its next turn. */
async function watch(client: ExternalGateway, id: string, after: string): Promise<void> {
  for await (const { type } of client.events(id, after)) if (type === "ITERATION_END") return;
}

/** @throws if the turn was another than what is told of it */
function secondsOfTools(events: Event[]): number {
  const results = events.flatMap((event) => (event.type === "TOOL_RESULT" ? [event.data] : []));
  const end = events.at(-1);
  const isComplete = end?.type === "ITERATION_END" && end.data.status === "complete";
  if (!isComplete || results.length !== 6 || results.some(({ is_error }) => is_error)) {
    throw new Error("The turn was another than it was to be.");
  }
  return results.reduce((sum, { duration_seconds }) => sum + duration_seconds, 0);
}
