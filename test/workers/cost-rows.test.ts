import { expect, test } from "vitest";
import { message, text } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { countWritten, type Written } from "./row-meter.ts";
import { createScene } from "./session-scene.ts";

/** What the second turn of a session writes; the first one gives it its title besides. */
async function turn(input: string): Promise<Written> {
  const scene = await createScene();
  await scene.run("Say 'first'");
  return countWritten(scene.session_id, () => scene.run(input));
}

function print(what: string, { rows, alarms, d1 }: Written): void {
  console.log(`${what}: ${rows} rows, ${alarms} setAlarm, ${d1} D1 rows`);
}

test("[COST1] a turn of one text block writes at most 14 rows, however long it streams", async () => {
  const counts: number[] = [];
  for (const deltas of [100, 500, 2_000]) {
    const written = await turn(`Count to ${deltas}`);
    print(`a turn of ${deltas} deltas`, written);
    counts.push(written.rows);
  }
  expect(Math.max(...counts)).toBeLessThanOrEqual(14);
  expect(new Set(counts).size).toBe(1);
});

test("[COST1] each further block is two rows", async () => {
  const counts: number[] = [];
  for (const blocks of [1, 2, 5]) {
    const reply = message(Array.from({ length: blocks }, () => text("Some text in pieces.", 4)));
    const scene = await createClaudeScene([message([text("first")]), reply]);
    await scene.run("Go");
    const written = await countWritten(scene.session_id, () => scene.run("Go"));
    print(`a turn of ${blocks} blocks`, written);
    counts.push(written.rows - 2 * (blocks - 1));
  }
  expect(new Set(counts).size).toBe(1);
});

test("[COST2] a tool call is at most ten rows more", async () => {
  const { rows: without } = await turn("Say 'x'");
  const write = (n: number) => `Write '${n}' to work_products/${n}.txt`;
  for (const [what, calls, input] of [
    ["a write of a work product", 1, write(1)],
    ["three writes, one after the other", 3, [write(1), write(2), write(3)].join(", then ")],
    ["three writes of one message", 3, `At once: ${[write(1), write(2), write(3)].join(" & ")}`],
    ["a list", 1, "List work_products"],
  ] as const) {
    const written = await turn(input);
    print(`a turn with ${what}`, written);
    expect(written.rows - without).toBeLessThanOrEqual(10 * calls);
  }
});
