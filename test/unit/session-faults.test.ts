import { expect, test } from "vitest";
import { JSON_MAX_DEPTH, PAGE_MAX_CHARS, QUEUE_MAX_TURNS } from "../../src/protocol/limits.ts";
import { pageOf } from "../support/event-page.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { SessionWorld } from "../support/session-world.ts";
import { passTicks } from "../support/ticks.ts";

/** A message that stops after its first word until the gate opens. */
function held(gate: Gate): Reply {
  return async function* () {
    const events = answer([text("Hello world", 2)]);
    yield* events.slice(0, 4);
    await gate.pass();
    yield* events.slice(4);
  };
}

test("[TURN18] a cancelled turn whose end cannot be stored is left to the heartbeat, and does not spin", async () => {
  const gate = new Gate();
  let failing = false;
  let refused = 0;
  const world = new SessionWorld({
    model: new HandModel([held(gate)]),
    beforeStatement: (query) => {
      if (!failing || !query.startsWith("INSERT")) return;
      if (++refused > 50) throw new Error("the turn spins");
      throw new Error("database or disk is full");
    },
  });
  const turnId = world.submit("go");
  await gate.reached;
  failing = true;
  await world.session.cancel();
  expect(refused).toBeLessThan(10);
  failing = false;
  world.session.resume();
  expect((await world.ended(turnId)).status).toBe("cancelled");
});

test("[SESSION12] a turn that was accepted reaches the list, though it could not be started at once", async () => {
  let failing = false;
  const world = new SessionWorld({
    model: new HandModel([answer([text("a")])]),
    beforeStatement: (query) => {
      if (failing && query.includes("FROM turns WHERE turn_id")) throw new Error("disk I/O error");
    },
  });
  failing = true;
  expect(() => world.submit("go")).toThrow("disk I/O error");
  failing = false;
  await passTicks(20);
  expect(world.indexed.map(({ summary }) => summary.status)).toEqual(["running"]);
  const turnId = world.session.describe().active_turn ?? "";
  world.session.resume();
  expect((await world.ended(turnId)).status).toBe("complete");
});

test("[SESSION5] a title is known in the moment in which it is stored, whatever fails after it", async () => {
  let failing = false;
  const world = new SessionWorld({
    model: new HandModel([answer([text("a")]), answer([text("b")])]),
    beforeStatement: (query) => {
      if (failing && query.includes("FROM meta")) throw new Error("disk I/O error");
    },
  });
  const { session } = world;
  failing = true;
  const turnId = world.submit("one");
  failing = false;
  await world.ended(turnId);
  expect(session.describe().title).toBe("one");
  await world.run("two");
  expect(world.start().describe().title).toBe("one");
});

test("[REST6] [REST13] pages end where their items are large, and go on from there", async () => {
  const gate = new Gate();
  const world = new SessionWorld({ model: new HandModel([held(gate)]) });
  world.submit("go");
  await gate.reached;
  const large = "x".repeat(PAGE_MAX_CHARS / 5);
  for (let i = 0; i < 12; i++) world.submit(large);

  const seqs: number[] = [];
  let after: string | null = "0";
  let pages = 0;
  while (after !== null) {
    const page = pageOf(world.session.log, after, 1_000);
    seqs.push(...page.events.map(({ seq }) => seq));
    expect(JSON.stringify(page).length).toBeLessThan(PAGE_MAX_CHARS * 1.5);
    after = page.next_cursor;
    pages++;
  }
  expect(pages).toBeGreaterThan(2);
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));

  const first = world.session.turns({ limit: 50, cursor: null });
  expect(first.turns.length).toBeLessThan(13);
  const rest = world.session.turns({ limit: 50, cursor: first.next_cursor });
  expect(new Set([...first.turns, ...rest.turns].map(({ turn_id }) => turn_id)).size).toBeGreaterThan(
    first.turns.length,
  );
});

test("[REST13] what a queued turn says is looked for from its start on, not from where it was queued", async () => {
  const replies = Array.from({ length: QUEUE_MAX_TURNS + 1 }, () => answer([text("Done")]));
  const world = new SessionWorld({ model: new HandModel(replies) });
  const turnIds = Array.from({ length: QUEUE_MAX_TURNS }, (_, i) => world.submit(`${i}`));
  for (const turnId of turnIds) await world.ended(turnId);
  const log = world.log();
  // The first one ran while the others were queued.
  for (const turnId of turnIds.slice(1)) {
    const [first] = world.sql.exec<{ first_seq: number; last_seq: number }>(
      "SELECT first_seq, last_seq FROM turns WHERE turn_id = ?",
      turnId,
    );
    const started = log.find(({ type, turn_id }) => type === "SESSION_INFO" && turn_id === turnId);
    expect(first?.first_seq).toBe(started?.seq);
    expect((first?.last_seq ?? 0) - (first?.first_seq ?? 0)).toBeLessThan(10);
  }
});

test("[TOOL3] input nested too deep is one that cannot be read, and the log stays readable", async () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
  const deep = nested(JSON_MAX_DEPTH * 40);
  const world = new SessionWorld({
    model: new HandModel([answer([toolUse("t1", "list", deep)], { stopReason: "tool_use" }), answer([text("Done")])]),
  });
  const turn = await world.run("go");
  expect(turn.status).toBe("complete");
  expect(pageOf(world.session.log, "0", 1_000).events.at(-1)?.type).toBe("ITERATION_END");
});
