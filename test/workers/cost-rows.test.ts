import { expect, test } from "vitest";
import { message, text } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { countWritten, type Written } from "./row-meter.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";

/** What the second turn of a session writes; the first one gives it its title besides. */
async function turn(input: string, first = "Say 'first'"): Promise<Written> {
  const scene = await createScene();
  await scene.run(first);
  return countWritten(scene.session_id, () => scene.run(input));
}

function print(what: string, { rows, alarms, d1 }: Written): void {
  console.log(`${what}: ${rows} rows, ${alarms} setAlarm, ${d1} D1 rows`);
}

test("[COST1] [COST8] a turn of one text block writes at most 14 rows, and now 11, however long it streams", async () => {
  const counts: number[] = [];
  for (const deltas of [100, 500, 2_000]) {
    const written = await turn(`Count to ${deltas}`);
    print(`a turn of ${deltas} deltas`, written);
    counts.push(written.rows);
  }
  expect(Math.max(...counts)).toBeLessThanOrEqual(11);
  expect(new Set(counts).size).toBe(1);
});

test("[COST8] an Idempotency-Key is one row more", async () => {
  const scene = await createScene();
  await scene.run("Say 'first'");
  const written = await countWritten(scene.session_id, async () => {
    const socket = await scene.socket();
    unwrap(await scene.stub.submit(ADMIN, { user_input: "Say 'x'" }, "key-of-cost-rows"));
    await socket.until((event) => event.type === "ITERATION_END");
    socket.close();
  });
  print("a turn with a key", written);
  expect(written.rows).toBeLessThanOrEqual(12);
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

test("[COST2] [COST8] a tool call is at most ten rows more, and now six where it reads, eight where it changes a file, nine where it makes a work product", async () => {
  const files = "Write 'one two' to notes.txt, then Write 'three' to old.txt";
  const { rows: without } = await turn("Say 'x'", files);
  const write = (n: number) => `Write '${n}' to work_products/${n}.txt`;
  for (const [what, calls, rows, input] of [
    ["a list", 1, 6, "List work_products"],
    ["a read", 1, 6, "Read notes.txt"],
    ["a search", 1, 6, "Search for 'one' in ."],
    ["a write", 1, 8, "Write 'x' to new.txt"],
    ["an edit", 1, 8, "Replace 'one' with 'two' in notes.txt"],
    ["a delete", 1, 8, "Delete old.txt"],
    ["a write of a work product", 1, 9, write(1)],
    ["three writes, one after the other", 3, 9, [write(1), write(2), write(3)].join(", then ")],
    ["three writes of one message", 3, 9, `At once: ${[write(1), write(2), write(3)].join(" & ")}`],
  ] as const) {
    const written = await turn(input, files);
    print(`a turn with ${what}`, written);
    expect(written.rows - without).toBeLessThanOrEqual(rows * calls);
  }
});
