import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DERIVED_TITLE_CHARS, IDEMPOTENCY_TTL_MS, QUEUE_MAX_TURNS } from "../../src/protocol/limits.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import type { SubmitTurnBody } from "../../src/protocol/rest.ts";
import { pageOf } from "../support/event-page.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { text } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const BOB: Principal = { user_id: "bob", scopes: ["read", "write", "admin"] };
const says = (value: string) => answer([text(value)]);
const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });

/** A session whose first turn waits for the gate. */
function createBusy() {
  const gate = new Gate();
  const first: Reply = async function* () {
    await gate.pass();
    yield* says("first");
  };
  const model = new HandModel([first, says("second"), says("third"), says("fourth")]);
  const world = new SessionWorld({ model });
  const running = world.submit("one");
  return { gate, model, world, running };
}

function createIdle(replies = 3) {
  const world = new SessionWorld({ model: new HandModel(Array.from({ length: replies }, (_, i) => says(`${i}`))) });
  const submit = (body: SubmitTurnBody, key: string | null = null, asking = ALICE) =>
    world.session.submit(asking, body, key);
  return { world, submit };
}

describe("the queue", () => {
  test("[TURN1] [TURN4] [TURN5] [EVENT6] runs turns one at a time, in the order in which they came", async () => {
    const { gate, model, world, running } = createBusy();
    const queued = ["two", "three"].map((input) => world.submit(input));
    expect(world.session.describe()).toMatchObject({ status: "running", active_turn: running, queued_turns: queued });
    gate.open();
    for (const turnId of queued) await passTimeUntil(world.ended(turnId));
    const log = world.log();
    const began = log.filter(({ type }) => type === "USER_INPUT").map(({ turn_id }) => turn_id);
    expect(began).toEqual([running, ...queued]);
    const of = (turnId?: string) =>
      log
        .filter(({ turn_id }) => turn_id === turnId)
        .map(({ type, data }) => ("status" in data ? `${type} ${data.status}` : type));
    const turn = ["SESSION_INFO", "USER_INPUT", "STATUS processing", "TEXT", "ITERATION_END complete"];
    expect(of(running)).toEqual(turn);
    expect(of(queued[0])).toEqual(["STATUS queued", ...turn]);
    expect(of(queued[1])).toEqual(["STATUS queued", ...turn]);
    const positions = world
      .events("STATUS")
      .flatMap(({ data }) => (data.status === "queued" ? [[data.text, data.position]] : []));
    expect(positions).toEqual([
      ["two", 1],
      ["three", 2],
    ]);
    expect(model.requests.map(({ messages }) => messages.length)).toEqual([1, 3, 5]);
    expect(world.session.describe()).toMatchObject({ status: "idle", active_turn: null, queued_turns: [] });
  });

  test("[REST12] takes so many turns and no more", async () => {
    const { world } = createBusy();
    for (let i = 0; i < QUEUE_MAX_TURNS; i++) world.submit(`${i}`);
    const before = world.log().length;
    expect(() => world.submit("one more")).toThrow(code("queue_full"));
    expect(world.log()).toHaveLength(before);
    const [oldest = ""] = world.session.describe().queued_turns;
    world.session.withdraw(oldest);
    world.submit("one more");
  });

  test("[REST11] is not for whoever asks to be rejected", async () => {
    const { gate, world, running } = createBusy();
    const before = world.log().length;
    expect(() => world.submit("two", { on_busy: "reject" })).toThrow(code("session_busy"));
    expect(world.log()).toHaveLength(before);
    gate.open();
    await passTimeUntil(world.ended(running));
    await passTimeUntil(world.run("two", { on_busy: "reject" }));
  });

  test("[TURN3] [REST14] gives a turn back that did not start, once", async () => {
    const { gate, world, running } = createBusy();
    const [two = "", three = ""] = ["two", "three"].map((input) => world.submit(input));
    world.session.withdraw(two);
    const types = world.log().flatMap(({ turn_id, type }) => (turn_id === two ? [type] : []));
    expect(types).toEqual(["STATUS", "ITERATION_END"]);
    expect(world.session.turn(two)).toMatchObject({ status: "cancelled", duration_seconds: 0, response_text: "" });
    expect(() => world.session.withdraw(two)).toThrow(code("not_found"));
    expect(() => world.session.withdraw(running)).toThrow(code("session_busy"));
    expect(() => world.session.withdraw("turn_01JZZZZZZZZZZZZZZZZZZZZZZZ")).toThrow(code("not_found"));
    expect(world.session.describe().queued_turns).toEqual([three]);
    gate.open();
    expect((await passTimeUntil(world.ended(three))).response_text).toBe("second");
    expect(() => world.session.withdraw(running)).toThrow(code("not_found"));
    expect(world.events("USER_INPUT").map(({ data }) => data.text)).toEqual(["one", "three"]);
  });

  test("[TURN4] [LOG6] outlives the process, with its order", async () => {
    const { gate, world, running } = createBusy();
    const queued = ["two", "three", "four"].map((input) => world.submit(input));
    world.session.withdraw(queued[0] ?? "");
    vi.spyOn(console, "error").mockImplementation(() => {});
    world.start();
    gate.open();
    expect(world.session.describe()).toMatchObject({ active_turn: running, queued_turns: queued.slice(1) });
    await passTimeUntil(world.ended(queued[2] ?? ""));
    expect(world.events("USER_INPUT").map(({ data }) => data.text)).toEqual(["one", "three", "four"]);
  });

  test.for([[""], [" "], ["\n\t"], ["\u00a0\u2003"]])("[REST10] [ERR5] refuses %j as blank", ([input = ""]) => {
    const { world } = createIdle();
    expect(() => world.submit(input)).toThrow(code("blank_input"));
    expect(world.log()).toEqual([]);
    expect(world.session.describe()).toMatchObject({ status: "idle", title: null });
  });

  test("[WS5] answers before anybody sees an event of the turn", () => {
    const { world } = createIdle();
    const seen: number[] = [];
    world.session.submit(ALICE, { user_input: "go" }, null, () => seen.push(world.sent.length));
    expect(seen).toEqual([0]);
    expect(world.sent.length).toBeGreaterThan(0);
  });

  test("[REST9] [CURSOR8] says where the log stood before the turn", async () => {
    const { world, submit } = createIdle();
    const first = submit({ user_input: "go" });
    expect(first.cursor).toBe("0");
    await passTimeUntil(world.ended(first.turn_id));
    const second = submit({ user_input: "go" });
    const [event] = pageOf(world.session.log, second.cursor, 1).events;
    expect(event).toMatchObject({ type: "SESSION_INFO", turn_id: second.turn_id });
  });
});

describe("the same request again", () => {
  test("[IDEM1] [IDEM2] gets the first answer, running, ended or taken out", async () => {
    const { gate, world, running } = createBusy();
    const ask = (input: string, key: string) => world.session.submit(ALICE, { user_input: input }, key);
    const two = ask("two", "a");
    const three = ask("three", "b");
    expect(ask("two", "a")).toEqual(two);
    world.session.withdraw(three.turn_id);
    expect(ask("three", "b")).toEqual(three);
    gate.open();
    await passTimeUntil(world.ended(two.turn_id));
    world.start();
    const before = world.log();
    expect(ask("two", "a")).toEqual(two);
    expect(two).toMatchObject({ status: "queued", session_id: world.session.settings.session_id });
    expect(world.log()).toEqual(before);
    expect(world.session.turns({ limit: 10, cursor: null }).turns.map(({ turn_id }) => turn_id)).toEqual([
      three.turn_id,
      two.turn_id,
      running,
    ]);
  });

  test("[IDEM3] with another body is refused; the order of its fields does not count", () => {
    const { submit } = createIdle();
    const first = submit({ user_input: "go", metadata: { a: 1, b: { c: 2, d: 3 } }, max_iterations: 2 }, "key");
    expect(submit({ max_iterations: 2, metadata: { b: { d: 3, c: 2 }, a: 1 }, user_input: "go" }, "key")).toEqual(
      first,
    );
    for (const body of [{ user_input: "go" }, { user_input: "stop", metadata: { a: 1 } }]) {
      expect(() => submit(body, "key")).toThrow(code("idempotency_key_reused"));
    }
  });

  test("[IDEM4] after an error is a new request", () => {
    const { world, submit } = createIdle();
    expect(() => submit({ user_input: " " }, "key")).toThrow(code("blank_input"));
    const { turn_id } = submit({ user_input: "go" }, "key");
    expect(world.session.describe().active_turn).toBe(turn_id);
  });

  test("[IDEM1] after 24 hours is a new request", async () => {
    const { world, submit } = createIdle();
    const first = submit({ user_input: "go" }, "key");
    await passTimeUntil(world.ended(first.turn_id));
    vi.setSystemTime(Date.parse("2026-10-01T12:00:00.000Z") + IDEMPOTENCY_TTL_MS - 1);
    expect(submit({ user_input: "go" }, "key")).toEqual(first);
    vi.setSystemTime(Date.parse("2026-10-01T12:00:00.000Z") + IDEMPOTENCY_TTL_MS);
    const second = submit({ user_input: "go" }, "key");
    expect(second.turn_id).not.toBe(first.turn_id);
    expect(submit({ user_input: "go" }, "key")).toEqual(second);
    expect(world.sql.exec("SELECT * FROM idempotency")).toHaveLength(1);
  });

  test("[IDEM5] by another user is another request", () => {
    const { submit } = createIdle();
    const first = submit({ user_input: "go" }, "key");
    const second = submit({ user_input: "on" }, "key", BOB);
    expect(second.turn_id).not.toBe(first.turn_id);
    expect(submit({ user_input: "on" }, "key", BOB)).toEqual(second);
  });
});

describe("a title", () => {
  const smiles = "\u{1f642}".repeat(DERIVED_TITLE_CHARS);
  test.for<[what: string, input: string, title: string]>([
    ["is the first message", "Write a poem", "Write a poem"],
    ["is its first line, without the space around it", " \n  Write a poem \nabout rain", "Write a poem"],
    ["is its start", "a".repeat(81), `${"a".repeat(79)}…`],
    ["ends with a word", `${"a".repeat(75)} bb cc dd`, `${"a".repeat(75)} bb…`],
    ["ends with a whole character", `${smiles}`, `${"\u{1f642}".repeat(39)}…`],
    ["has as many characters as it may", "a".repeat(80), "a".repeat(80)],
  ])("[SESSION5] %s", ([, input, title]) => {
    const { world } = createIdle();
    world.submit(input);
    expect(world.session.describe().title).toBe(title);
    expect(title.length).toBeLessThanOrEqual(DERIVED_TITLE_CHARS);
  });

  test("[SESSION5] that was given is kept, and one that was cleared is made again", async () => {
    const world = new SessionWorld({ model: new HandModel([says("a"), says("b")]), settings: { title: "Given" } });
    await passTimeUntil(world.run("one"));
    expect(world.session.describe().title).toBe("Given");
    expect(world.session.patch(ALICE, { title: null }).title).toBeNull();
    await passTimeUntil(world.run("two"));
    world.start();
    expect(world.session.describe().title).toBe("two");
  });
});
