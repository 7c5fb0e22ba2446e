import { expect, test } from "vitest";
import { billOf, priceOf } from "../bench/prices.ts";
import { TURN_BEFORE, typicalTurn } from "../bench/typical-turn.ts";
import { countOperations } from "./row-meter.ts";
import { createScene } from "./session-scene.ts";

test("[COST6] [COST8] a turn of an agent with six tool calls, and text before each, does at most what is counted for its price", async () => {
  const scene = await createScene();
  await scene.run(TURN_BEFORE);
  const counts = await countOperations(scene.session_id, async () => {
    const { status, tool_calls } = await scene.run(typicalTurn({ deltas: 80, delayMs: 0 }));
    expect({ status, tool_calls }).toEqual({ status: "complete", tool_calls: 6 });
  });
  console.log(`a turn with six tool calls: ${JSON.stringify(counts)}`);
  const { rowsWritten, rowsRead, alarmsSet, d1Statements, d1RowsWritten, r2ClassA, r2ClassB } = counts;
  expect(rowsWritten).toBeLessThanOrEqual(66);
  // A fifth above what it was.
  expect(rowsRead).toBeLessThanOrEqual(520);
  expect(alarmsSet).toBe(1);
  expect(d1Statements).toBeLessThanOrEqual(3);
  expect(d1RowsWritten).toBeLessThanOrEqual(7);
  // What it wrote, and what it read.
  expect([r2ClassA, r2ClassB]).toEqual([3, 3]);
  // What is seen where it takes a minute, and three clients of the library watch it: `npm run bench -- operations`.
  const minute = { workerRequests: 3, objectRequests: 3, socketMessages: 3 * 62, alarms: 3, alarmsSet: 3 };
  const withKey = { rowsWritten: rowsWritten + 1 };
  expect(1_000 * priceOf(billOf({ ...counts, ...minute, ...withKey }, 60))).toBeLessThanOrEqual(0.2);
});
