import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { traceIdOf } from "../../src/protocol/ids.ts";
import { session as sessionSchema, turnResult, turn as turnSchema } from "../../src/protocol/rest.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

const NOON = Date.parse("2026-10-01T12:00:00.000Z");

beforeEach(() => {
  vi.useFakeTimers({ now: NOON });
});
afterEach(() => {
  vi.useRealTimers();
});

const write = (id: string, path: string) => toolUse(id, "write", { path, content: "x" });
const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };

describe("a turn", () => {
  test("[TURN12] [TURN14] [TURN15] [TURN16] [ID6] shows all that its steps came to", async () => {
    const half = answer([text("lost")]).slice(0, 3);
    const paths = ["work_products/b", "work_products/a", "notes", "work_products/b"];
    const replies = [
      answer([text("One. "), ...paths.map((path, i) => write(`${i}`, path))]),
      half,
      answer([text("Two. "), text("Three.")]),
    ];
    const world = new SessionWorld({ model: new HandModel(replies) });
    const metadata = { source: "test" };
    const turnId = world.submit("go", { metadata });
    const turn = await passTimeUntil(world.ended(turnId));
    const last = world.log().at(-1);
    expect(turnSchema.parse(turn)).toEqual({
      turn_id: turnId,
      session_id: world.session.settings.session_id,
      status: "complete",
      response_text: "One. Two. Three.",
      tool_calls: 4,
      work_products: ["work_products/b", "work_products/a"],
      // With what the call that was cut had used by then: four characters count as two tokens.
      usage: { ...usage, input_tokens: 30, output_tokens: 12 },
      trace_id: traceIdOf(turnId),
      duration_seconds: 0.375,
      cursor: `${last?.seq}`,
      pending_inputs: [],
      user_input: "go",
      metadata,
      created_at: "2026-10-01T12:00:00.000Z",
    });
    expect(last).toMatchObject({
      type: "ITERATION_END",
      data: { tool_calls: 4, usage: turn.usage, duration_seconds: 0.375 },
    });
    const { user_input: _, metadata: __, created_at: ___, ...result } = turn;
    expect(turnResult.parse(world.session.result(turnId))).toEqual(result);
  });

  test("[TURN13] [TURN17] shows what it has while it runs or waits, and time in the queue does not count", async () => {
    const gates = [new Gate(), new Gate()];
    const slow = (gate: Gate | undefined): Reply =>
      async function* () {
        const events = answer([text("Half and half", 4)]);
        yield* events.slice(0, 3);
        await gate?.pass();
        yield* events.slice(3);
      };
    const world = new SessionWorld({ model: new HandModel(gates.map(slow)) });
    const [first, second] = [world.submit("one"), world.submit("two")];
    await gates[0]?.reached;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(world.session.turn(first)).toMatchObject({
      status: "running",
      response_text: "Half",
      duration_seconds: 2,
      cursor: world.session.log.cursor(),
    });
    expect(world.session.turn(second)).toMatchObject({ status: "queued", response_text: "", duration_seconds: 0 });
    gates[0]?.open();
    await passTimeUntil(world.ended(first));
    await gates[1]?.reached;
    await vi.advanceTimersByTimeAsync(1_000);
    gates[1]?.open();
    expect((await passTimeUntil(world.ended(second))).duration_seconds).toBe(1);
  });

  test("[REST13] stands in a list, newest first", async () => {
    const world = new SessionWorld({ model: new HandModel(["a", "b", "c"].map((value) => answer([text(value)]))) });
    const ids: string[] = [];
    for (const input of ["one", "two", "three"]) ids.unshift((await passTimeUntil(world.run(input))).turn_id);
    const first = world.session.turns({ limit: 2, cursor: null });
    expect(first.turns.map(({ turn_id }) => turn_id)).toEqual(ids.slice(0, 2));
    const second = world.session.turns({ limit: 2, cursor: first.next_cursor });
    expect(second.turns.map(({ turn_id, response_text }) => [turn_id, response_text])).toEqual([[ids[2], "a"]]);
    expect(second.next_cursor).toBeNull();
    for (const cursor of ["", "x", "turn_01JZZZZZZZZZZZZZZZZZZZZZZZ"]) {
      const ask = () => world.session.turns({ limit: 2, cursor });
      expect(ask).toThrow(expect.objectContaining({ code: "bad_cursor" }));
    }
    expect(() => world.session.turn("turn_01JZZZZZZZZZZZZZZZZZZZZZZZ")).toThrow(
      expect.objectContaining({ code: "not_found" }),
    );
  });

  test.for<[what: string, ofSession: number, ofRequest: number | undefined, calls: number]>([
    ["the session's", 2, undefined, 2],
    ["the request's, which is lower", 3, 1, 1],
    ["the request's, which is higher", 1, 3, 3],
  ])("[TURN10] [TURN11] has the limit of %s", async ([, max_iterations, ofRequest, calls]) => {
    const model = new HandModel(Array.from({ length: 5 }, (_, i) => answer([toolUse(`${i}`, "list", {})])));
    const world = new SessionWorld({ model, settings: { max_iterations } });
    const turn = await passTimeUntil(world.run("go", ofRequest === undefined ? {} : { max_iterations: ofRequest }));
    expect(turn).toMatchObject({ status: "max_iterations", tool_calls: calls });
    expect(model.requests).toHaveLength(calls);
    // The results of the last calls are there for the next turn.
    expect(world.events("TOOL_RESULT")).toHaveLength(calls);
  });
});

describe("a session", () => {
  test("[SESSION1] [SESSION3] [SESSION4] [ID4] shows what it is and what it does", async () => {
    const world = new SessionWorld({ model: new HandModel([answer([text("a")])]), settings: { metadata: { a: 1 } } });
    const created = sessionSchema.parse(world.session.describe());
    const { session_id } = world.session.settings;
    expect(created).toEqual({
      session_id,
      user_id: "alice",
      title: null,
      status: "idle",
      workspace_dir: `sessions/${session_id}`,
      model: "main",
      metadata: { a: 1 },
      created_at: "2026-10-01T12:00:00.000Z",
      updated_at: "2026-10-01T12:00:00.000Z",
      last_seq: 0,
      active_turn: null,
      queued_turns: [],
      pending_inputs: [],
    });
    await vi.advanceTimersByTimeAsync(1_000);
    await passTimeUntil(world.run("go"));
    expect(world.session.describe()).toMatchObject({
      status: "idle",
      updated_at: "2026-10-01T12:00:01.000Z",
      last_seq: 5,
    });
  });

  test("[SESSION10] changes what a PATCH names, says when, and keeps it", async () => {
    const world = new SessionWorld({ model: new HandModel([]), settings: { title: "Before", system: "Be brief." } });
    await vi.advanceTimersByTimeAsync(1_000);
    const patched = world.session.patch(ALICE, { title: "After", metadata: { b: 2 } });
    expect(patched).toMatchObject({
      title: "After",
      metadata: { b: 2 },
      model: "main",
      updated_at: "2026-10-01T12:00:01.000Z",
    });
    expect(world.session.patch(ALICE, { title: null, system: null })).toMatchObject({
      title: null,
      metadata: { b: 2 },
    });
    await passTimeUntil(world.session.index.flush());
    world.start();
    expect(world.session.settings).toMatchObject({ title: null, system: null, metadata: { b: 2 }, revision: 2 });
    expect(world.log()).toEqual([]);
  });

  test("[SESSION12] tells the index of each change, with a version that grows", async () => {
    const world = new SessionWorld({ model: new HandModel([answer([text("a")])]) });
    world.session.follow();
    await passTimeUntil(world.session.index.flush());
    world.session.patch(ALICE, { title: "New" });
    await passTimeUntil(world.session.index.flush());
    await passTimeUntil(world.run("go"));
    await passTimeUntil(world.session.index.flush());
    const versions = world.indexed.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    expect(world.indexed.map(({ summary }) => [summary.title, summary.status])).toEqual([
      [null, "idle"],
      ["New", "idle"],
      ["New", "running"],
      ["New", "idle"],
    ]);
  });

  test("[AUTH3] [AUTH4] is its owner's, and an admin's", () => {
    const { session } = new SessionWorld({ model: new HandModel([]) });
    const missing = expect.objectContaining({ code: "not_found" });
    session.authorize(ALICE);
    session.authorize({ user_id: "root", scopes: ["admin"] });
    expect(() => session.authorize({ user_id: "bob", scopes: ["read", "write", "approve"] })).toThrow(missing);
  });
});
