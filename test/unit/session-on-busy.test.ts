import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ModelError } from "../../src/engine/ports.ts";
import { QUEUE_MAX_TURNS, STEERS_MAX } from "../../src/protocol/limits.ts";
import type { SubmitTurnBody } from "../../src/protocol/rest.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { makeOlder } from "../support/make-older.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const says = (value: string) => answer([text(value)]);
const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });

/** A session whose turn waits at the gate, with one half of a text said. */
function createBusy(...more: Reply[]) {
  const gate = new Gate();
  const first: Reply = async function* () {
    yield* answer([text("Half", 2)]).slice(0, 3);
    await gate.pass();
    yield* answer([text("Half", 2)]).slice(3);
  };
  const model = new HandModel([first, ...more]);
  const world = new SessionWorld({ model });
  const running = world.submit("one");
  const submit = (user_input: string, on_busy: SubmitTurnBody["on_busy"], key: string | null = null) =>
    world.session.submit(ALICE, { user_input, on_busy }, key);
  return { gate, model, world, running, submit };
}

const inputsOf = (world: SessionWorld) => world.events("USER_INPUT").map(({ data }) => data.text);
const steeredIn = (world: SessionWorld) =>
  world.events("STATUS").flatMap(({ data, turn_id }) => (data.status === "steered" ? [[turn_id, data.text]] : []));
const queuedIn = (world: SessionWorld) =>
  world.events("STATUS").flatMap(({ data }) => (data.status === "queued" ? [[data.text, data.position]] : []));
const endsOf = (world: SessionWorld) => world.events("ITERATION_END").map(({ data }) => data.status);
/** The texts of the last request, message by message. */
const lastRequest = (model: HandModel) =>
  model.requests
    .at(-1)
    ?.messages.map(({ role, content }) => [role, ...content.map((block) => block["text"] ?? block.type)]);

describe("interrupt", () => {
  test("[TURN22] [TURN18] [REST11] stops the turn that runs, and runs before those that wait", async () => {
    const { model, world, running, submit } = createBusy(says("two"), says("three"));
    await vi.waitFor(() => expect(world.events("TEXT")).not.toEqual([]));
    const waiting = world.submit("three");
    const next = submit("two", "interrupt");
    expect(next.status).toBe("queued");
    expect(world.session.describe().queued_turns).toEqual([next.turn_id, waiting]);
    await passTimeUntil(world.ended(waiting));
    expect(inputsOf(world)).toEqual(["one", "two", "three"]);
    expect(endsOf(world)).toEqual(["cancelled", "complete", "complete"]);
    expect(queuedIn(world)).toEqual([
      ["three", 1],
      ["two", 1],
    ]);
    expect(world.session.turn(running).response_text).toBe("Ha");
    expect(model.requests[1]?.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
  });

  test("[TURN22] [TURN20] holds when the process dies before the turn has stopped", async () => {
    const { gate, world, submit } = createBusy(says("two"));
    await gate.reached;
    const { turn_id } = submit("two", "interrupt");
    world.start();
    await passTimeUntil(world.ended(turn_id));
    expect(endsOf(world)).toEqual(["cancelled", "complete"]);
    expect(inputsOf(world)).toEqual(["one", "two"]);
  });

  test("[TURN22] goes before an earlier one that has not started", async () => {
    const { gate, world, submit } = createBusy(says("b"), says("a"));
    await gate.reached;
    const [a, b] = [submit("a", "interrupt"), submit("b", "interrupt")];
    expect(world.session.describe().queued_turns).toEqual([b.turn_id, a.turn_id]);
    await passTimeUntil(world.ended(a.turn_id));
    expect(inputsOf(world)).toEqual(["one", "b", "a"]);
  });

  test("[IDEM1] [TURN22] interrupts once, however often it is repeated", async () => {
    const gate = new Gate();
    const second: Reply = async function* () {
      await gate.pass();
      yield* says("second");
    };
    const { gate: firstGate, world, submit } = createBusy(second);
    await firstGate.reached;
    const first = submit("two", "interrupt", "key");
    await gate.reached;
    expect(submit("two", "interrupt", "key")).toEqual(first);
    gate.open();
    await passTimeUntil(world.ended(first.turn_id));
    expect(endsOf(world)).toEqual(["cancelled", "complete"]);
  });

  test("[REST11] [TURN22] starts a turn where none runs", async () => {
    const world = new SessionWorld({ model: new HandModel([says("one")]) });
    const { turn_id, status } = world.session.submit(ALICE, { user_input: "one", on_busy: "interrupt" }, null);
    expect(status).toBe("running");
    await passTimeUntil(world.ended(turn_id));
    expect(queuedIn(world)).toEqual([]);
  });
});

describe("steer", () => {
  test("[TURN23] [TURN24] [REST20] [EVENT9] joins the turn that runs, which then calls the model once more", async () => {
    const { gate, model, world, running, submit } = createBusy(says("Better."));
    await gate.reached;
    const before = world.session.turn(running);
    const steered = submit("say it better", "steer");
    expect(steered).toMatchObject({ turn_id: running, status: "running", steered: true });
    expect(world.session.describe().queued_turns).toEqual([]);
    expect(steeredIn(world)).toEqual([]);
    gate.open();
    const turn = await passTimeUntil(world.ended(running));
    expect(turn).toMatchObject({ status: "complete", response_text: "HalfBetter." });
    expect(before.status).toBe("running");
    expect(steeredIn(world)).toEqual([[running, "say it better"]]);
    expect(inputsOf(world)).toEqual(["one"]);
    expect(lastRequest(model)).toEqual([
      ["user", "one"],
      ["assistant", "Half"],
      ["user", "say it better"],
    ]);
  });

  test("[TURN23] [MODEL4] stands after all tool results", async () => {
    const gate = new Gate();
    const calls: Reply = async function* () {
      await gate.pass();
      yield* answer([toolUse("1", "list", {}), toolUse("2", "write", { path: "a", content: "x" })]);
    };
    const model = new HandModel([calls, says("Done.")]);
    const world = new SessionWorld({ model });
    const running = world.submit("go");
    await gate.reached;
    world.session.submit(ALICE, { user_input: "first", on_busy: "steer" }, null);
    world.session.submit(ALICE, { user_input: "second", on_busy: "steer" }, null);
    gate.open();
    await passTimeUntil(world.ended(running));
    expect(lastRequest(model)).toEqual([
      ["user", "go"],
      ["assistant", "tool_use", "tool_use"],
      ["user", "tool_result", "tool_result", "first", "second"],
    ]);
    expect(steeredIn(world).map(([, said]) => said)).toEqual(["first", "second"]);
  });

  test("[TURN23] [MODEL5] joins before the next attempt of a call that failed", async () => {
    const gate = new Gate();
    const overloaded: Reply = async function* () {
      yield* answer([text("Half", 2)]).slice(0, 3);
      await gate.pass();
      throw new ModelError("overloaded_error", "The test fails the call.", { status: 529 });
    };
    const model = new HandModel([overloaded, says("Done.")]);
    const world = new SessionWorld({ model });
    const running = world.submit("go");
    await gate.reached;
    world.session.submit(ALICE, { user_input: "and this", on_busy: "steer" }, null);
    gate.open();
    await passTimeUntil(world.ended(running));
    expect(lastRequest(model)).toEqual([["user", "go", "and this"]]);
    expect(model.attempts).toEqual([1, 2]);
  });

  test.each(["before it joined", "after it joined"])(
    "[TURN24] [TURN20] joins once when the process dies %s",
    async (when) => {
      const gates = [new Gate(), new Gate()];
      const stuck = (gate: Gate | undefined): Reply =>
        async function* () {
          await gate?.pass();
          yield* says("Half");
        };
      const model = new HandModel([
        stuck(gates[0]),
        ...(when === "after it joined" ? [stuck(gates[1])] : []),
        says("A"),
        says("B"),
      ]);
      const world = new SessionWorld({ model });
      const running = world.submit("go");
      await gates[0]?.reached;
      world.session.submit(ALICE, { user_input: "more", on_busy: "steer" }, null);
      if (when === "after it joined") {
        gates[0]?.open();
        await gates[1]?.reached;
      }
      world.start();
      await passTimeUntil(world.ended(running));
      expect(steeredIn(world)).toEqual([[running, "more"]]);
      expect(
        lastRequest(model)
          ?.flat()
          .filter((part) => part === "more"),
      ).toHaveLength(1);
      expect(endsOf(world)).toEqual(["complete"]);
    },
  );

  test.each<[string, (world: SessionWorld) => void, string[]]>([
    ["was cancelled", ({ session }) => void session.cancel(), ["cancelled", "complete", "complete", "complete"]],
    ["reached its last model call", () => {}, ["complete", "complete", "complete", "complete"]],
  ])("[TURN25] [TURN4] [EVENT6] becomes the next turn where the turn %s", async (_, happens, ends) => {
    const gate = new Gate();
    const first: Reply = async function* () {
      await gate.pass();
      yield* says("one");
    };
    const world = new SessionWorld({ model: new HandModel([first, says("a"), says("b"), says("two"), says("two")]) });
    const running = world.submit("one", { max_iterations: 1 });
    const waiting = world.submit("two");
    await gate.reached;
    for (const user_input of ["a", "b"]) {
      world.session.submit(ALICE, { user_input, on_busy: "steer", metadata: { from: user_input } }, null);
    }
    happens(world);
    gate.open();
    await passTimeUntil(world.ended(waiting));
    expect(steeredIn(world)).toEqual([]);
    expect(inputsOf(world)).toEqual(["one", "a", "b", "two"]);
    expect(endsOf(world)).toEqual(ends);
    expect(queuedIn(world)).toEqual([
      ["two", 1],
      ["a", 1],
      ["b", 2],
    ]);
    expect(world.events("USER_INPUT").map(({ data }) => data.metadata)).toEqual([{}, { from: "a" }, { from: "b" }, {}]);
    const log = world.log();
    const end = log.findIndex(({ type, turn_id }) => type === "ITERATION_END" && turn_id === running);
    expect(log.slice(end + 1, end + 3).map(({ data }) => data)).toMatchObject([{ text: "a" }, { text: "b" }]);
  });

  test("[TURN25] [TURN22] runs after the turn that interrupts what it was said to", async () => {
    const { gate, world, submit } = createBusy(says("two"), says("steered"), says("three"));
    await gate.reached;
    const waiting = world.submit("three");
    submit("steered", "steer");
    submit("two", "interrupt");
    await passTimeUntil(world.ended(waiting));
    expect(inputsOf(world)).toEqual(["one", "two", "steered", "three"]);
    expect(queuedIn(world)).toEqual([
      ["three", 1],
      ["two", 1],
      ["steered", 2],
    ]);
  });

  test("[IDEM9] [IDEM3] joins once, however often it is repeated", async () => {
    const { gate, world, running, submit } = createBusy(says("two"));
    await gate.reached;
    const first = submit("two", "steer", "key");
    expect(submit("two", "steer", "key")).toEqual(first);
    expect(() => submit("other", "steer", "key")).toThrow(code("idempotency_key_reused"));
    gate.open();
    await passTimeUntil(world.ended(running));
    expect(submit("two", "steer", "key")).toEqual(first);
    expect(steeredIn(world)).toHaveLength(1);
    expect(world.session.describe().status).toBe("idle");
  });

  test("[REST12] takes so many messages and no more, and they count among the turns that wait", async () => {
    const { gate, world, submit } = createBusy();
    await gate.reached;
    for (let i = 0; i < STEERS_MAX; i++) submit(`${i}`, "steer");
    expect(() => submit("one more", "steer")).toThrow(code("queue_full"));
    for (let i = STEERS_MAX; i < QUEUE_MAX_TURNS; i++) submit(`${i}`, "enqueue");
    for (const on_busy of ["enqueue", "interrupt"] as const) {
      expect(() => submit("one more", on_busy)).toThrow(code("queue_full"));
    }
    await world.session.cancel();
    expect(world.session.describe().queued_turns.length + (world.session.describe().active_turn === null ? 0 : 1)).toBe(
      QUEUE_MAX_TURNS,
    );
  });

  test("[REST11] [TURN23] starts a turn where none runs, and must say something", async () => {
    const world = new SessionWorld({ model: new HandModel([says("one")]) });
    expect(() => world.session.submit(ALICE, { user_input: " ", on_busy: "steer" }, null)).toThrow(code("blank_input"));
    const answered = world.session.submit(ALICE, { user_input: "one", on_busy: "steer" }, null);
    expect(answered).not.toHaveProperty("steered");
    await passTimeUntil(world.ended(answered.turn_id));
    expect(inputsOf(world)).toEqual(["one"]);
  });
});

test.each(["enqueue", "reject", "interrupt", "steer"] as const)(
  "[REST11] [TURN1] a message to %s, sent by whoever has just seen the turn end, starts a turn at once",
  async (on_busy) => {
    const world = new SessionWorld({ model: new HandModel([says("one"), says("two")]) });
    world.submit("one");
    await world.until(({ type }) => type === "ITERATION_END");
    const { status, turn_id } = world.session.submit(ALICE, { user_input: "two", on_busy }, null);
    expect(status).toBe("running");
    await passTimeUntil(world.ended(turn_id));
    expect(endsOf(world)).toEqual(["complete", "complete"]);
    expect(queuedIn(world)).toEqual([]);
  },
);

test("[TURN18] [REST15] a turn that was accepted as the one before it ended can be cancelled at once", async () => {
  const world = new SessionWorld({ model: new HandModel([says("one"), says("two")]) });
  world.submit("one");
  await world.until(({ type }) => type === "ITERATION_END");
  const turn_id = world.submit("two");
  expect(await world.session.cancel()).toEqual({ turn_id });
  expect(endsOf(world)).toEqual(["complete", "cancelled"]);
});

test("[REST11] [TURN22] [TURN25] a message that would steer a turn which is being cancelled waits behind what replaces it", async () => {
  const { gate, world, running, submit } = createBusy(says("two"), says("late"));
  await gate.reached;
  submit("two", "interrupt");
  const late = submit("late", "steer");
  expect(late).toMatchObject({ status: "queued" });
  expect(late.turn_id).not.toBe(running);
  await passTimeUntil(world.ended(late.turn_id));
  expect(inputsOf(world)).toEqual(["one", "two", "late"]);
  expect(queuedIn(world)).toEqual([
    ["two", 1],
    ["late", 2],
  ]);
});

test("[TURN25] [TURN20] what had not joined keeps its place when the process dies while it waits", async () => {
  const gates = [new Gate(), new Gate()];
  const stuck = (gate: Gate | undefined): Reply =>
    async function* () {
      await gate?.pass();
      yield* says("one");
    };
  const world = new SessionWorld({
    model: new HandModel([stuck(gates[0]), stuck(gates[1]), says("a"), says("b"), says("two")]),
  });
  world.submit("one", { max_iterations: 1 });
  const waiting = world.submit("two");
  await gates[0]?.reached;
  for (const user_input of ["a", "b"]) world.session.submit(ALICE, { user_input, on_busy: "steer" }, null);
  gates[0]?.open();
  await gates[1]?.reached;
  const queued = world.session.describe().queued_turns;
  world.start();
  expect(world.session.describe().queued_turns).toEqual(queued);
  gates[1]?.open();
  await passTimeUntil(world.ended(waiting));
  expect(inputsOf(world)).toEqual(["one", "a", "b", "two"]);
});

test("[SESSION20] [REST11] a session from before messages could steer goes on, with all that it holds", async () => {
  const gates = [new Gate(), new Gate()];
  const stuck = (gate: Gate | undefined): Reply =>
    async function* () {
      await gate?.pass();
      yield* says("one");
    };
  const world = new SessionWorld({
    model: new HandModel([stuck(gates[0]), stuck(gates[1]), says("steered"), says("two")]),
  });
  const running = world.submit("one");
  const key = (user_input: string) => world.session.submit(ALICE, { user_input }, "key");
  const two = key("two");
  await gates[0]?.reached;
  world.kill();
  makeOlder(world.sql, 1);
  world.start();
  await gates[1]?.reached;
  expect(key("two")).toEqual(two);
  world.session.submit(ALICE, { user_input: "say more", on_busy: "steer" }, "other key");
  world.start();
  gates[1]?.open();
  await passTimeUntil(world.ended(two.turn_id));
  expect(steeredIn(world)).toEqual([[running, "say more"]]);
  expect(endsOf(world)).toEqual(["complete", "complete"]);
});
