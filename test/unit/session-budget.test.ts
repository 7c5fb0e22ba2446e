import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createModels } from "../../src/models/models.ts";
import { invalidField } from "../../src/protocol/errors.ts";
import { costOf } from "../../src/protocol/prices.ts";
import type { SubmitTurnBody } from "../../src/protocol/rest.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld, type WorldOptions } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const PRICES = { GATEWAY_PRICES: JSON.stringify({ main: { input: 1_000, output: 1_000 } }) };
/** 15 tokens, or 0.015 dollars, a call. */
const lists: Reply = answer([toolUse("1", "list", {})]);
const says: Reply = answer([text("Done.")]);

function worldOf(replies: Reply[], options: Partial<WorldOptions> = {}) {
  return new SessionWorld({ model: new HandModel(replies), ...options });
}

async function endOf(world: SessionWorld, body: Partial<SubmitTurnBody>) {
  await passTimeUntil(world.run("go", body));
  return world.events("ITERATION_END").at(-1)?.data;
}

describe("a turn", () => {
  test("[BUDGET2] that used up its budget says which limit it was", async () => {
    const end = await endOf(worldOf([lists, lists, lists, says]), { budget: { tokens: 30, seconds: 1_000 } });
    expect(end).toMatchObject({
      status: "budget_exceeded",
      stop_reason: "tool_use",
      stop_details: { budget: "turn", limit: "tokens", used: 30, max: 30 },
      tool_calls: 2,
    });
  });

  test("[BUDGET2] that was answered by the call which used it up is complete", async () => {
    expect(await endOf(worldOf([says]), { budget: { tokens: 15 } })).toMatchObject({ status: "complete" });
  });

  test("[BUDGET2] [BUDGET8] that was answered is complete, and what was said meanwhile is the next turn, with its own budget", async () => {
    const world = worldOf([
      async function* () {
        world.submit("more", { on_busy: "steer", budget: { tokens: 20 } });
        yield* answer([text("Done.")]);
      },
      lists,
      lists,
      says,
    ]);
    await passTimeUntil(world.run("go", { budget: { tokens: 15 } }));
    const [next] = world.session.turns({ limit: 1, cursor: null }).turns;
    await passTimeUntil(world.ended(next?.turn_id ?? ""));
    expect(world.events("ITERATION_END").map(({ data }) => [data.status, data.stop_details])).toEqual([
      ["complete", null],
      ["budget_exceeded", { budget: "turn", limit: "tokens", used: 30, max: 20 }],
    ]);
  });

  test("[BUDGET2] ends by what is reached first, its own budget, its session's or the iterations", async () => {
    const settings = { budget: { tokens: 45 } };
    const ends = async (body: Partial<SubmitTurnBody>) => {
      const world = worldOf([lists, lists, lists, lists, says], { settings });
      return endOf(world, body);
    };
    expect(await ends({ budget: { tokens: 40 } })).toMatchObject({ stop_details: { budget: "turn", used: 45 } });
    expect(await ends({ budget: { tokens: 60 } })).toMatchObject({ stop_details: { budget: "session", used: 45 } });
    expect(await ends({ max_iterations: 3 })).toMatchObject({ status: "max_iterations" });
    expect(await ends({ max_iterations: 4 })).toMatchObject({ status: "budget_exceeded" });
  });

  test("[BUDGET1] [BUDGET5] of a session whose budget is used up asks no model, until there is more", async () => {
    const model = new HandModel([says, says]);
    const world = new SessionWorld({ model, settings: { budget: { tokens: 15 } } });
    expect(await endOf(world, {})).toMatchObject({ status: "complete" });
    const used = { budget: "session", limit: "tokens", used: 15, max: 15 };
    expect(await endOf(world, {})).toMatchObject({ status: "budget_exceeded", stop_details: used });
    expect(model.requests.length).toBe(1);
    world.session.patch(ALICE, { budget: null });
    expect(await endOf(world, {})).toMatchObject({ status: "complete" });
  });

  test("[BUDGET4] counts no time in which it waits for somebody, and all after it", async () => {
    const asks = answer([toolUse("1", "ask_user", { question: "Which?" })]);
    const waits = answer([toolUse("2", "wait", { seconds: 8 })]);
    const world = worldOf([asks, waits, lists, says]);
    const turnId = world.submit("go", { budget: { seconds: 6 } });
    await world.until(({ data }) => "status" in data && data.status === "waiting");
    await vi.advanceTimersByTimeAsync(3_600_000);
    const [input] = world.session.describe().pending_inputs;
    if (input === undefined || !("input_id" in input)) throw new Error("nothing is asked");
    world.session.answer(ALICE, input.input_id, "This", "token");
    await passTimeUntil(world.ended(turnId));
    const stop_details = { budget: "turn", limit: "seconds", used: 8, max: 6 };
    expect(world.events("ITERATION_END")[0]?.data).toMatchObject({ status: "budget_exceeded", stop_details });
  });
});

describe("a cost", () => {
  const refused = invalidField(
    "budget.cost_usd",
    "the gateway knows no price of the model fast (GATEWAY_PRICES)",
  ).errors;

  test("[BUDGET6] without a price is refused, and nothing of the message is stored", () => {
    const world = worldOf([], { gateway: PRICES, settings: { fast_model: "fast" } });
    const submit = (body: Partial<SubmitTurnBody>, key: string | null = null) =>
      world.session.submit(ALICE, { user_input: "go", ...body }, key);
    const budget = { cost_usd: 1 };
    expect(() => submit({ budget }, "key")).toThrow(
      expect.objectContaining({ code: "invalid_request", errors: refused }),
    );
    expect(world.log()).toEqual([]);
    expect(world.session.describe()).toMatchObject({ status: "idle", queued_turns: [] });
    expect(submit({ budget, force_complex: true }, "key")).toMatchObject({ status: "running" });
    expect(() => submit({ budget, on_busy: "steer" })).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("[BUDGET6] without a price is refused in a PATCH of the budget or of a model, and of nothing else", () => {
    const world = worldOf([], { gateway: PRICES, settings: { budget: { cost_usd: 1 } } });
    const refusal = expect.objectContaining({ code: "invalid_request" });
    expect(() => world.session.patch(ALICE, { fast_model: "fast" })).toThrow(refusal);
    expect(() => world.session.patch(ALICE, { model: "other" })).toThrow(refusal);
    const gone = worldOf([], { settings: { budget: { cost_usd: 1 } } });
    expect(() => gone.session.patch(ALICE, { budget: { cost_usd: 2 } })).toThrow(refusal);
    expect(gone.session.patch(ALICE, { title: "Renamed" }).title).toBe("Renamed");
    expect(gone.session.patch(ALICE, { budget: null, model: "other" }).model).toBe("other");
  });

  test("[BUDGET6] is that of the prices", async () => {
    const end = await endOf(worldOf([lists, lists, says], { gateway: PRICES }), { budget: { cost_usd: 0.02 } });
    expect(end?.stop_details).toEqual({ budget: "turn", limit: "cost_usd", used: 0.03, max: 0.02 });
    const prices = {
      "claude-*": { input: 1, output: 2, cache_read: 0.5 },
      "*": { input: 4, output: 4, cache_write: 8 },
    };
    const usage = {
      input_tokens: 1_000_000,
      output_tokens: 2_000_000,
      cache_read_input_tokens: 4_000_000,
      cache_creation_input_tokens: 8_000_000,
    };
    expect(costOf(prices, "claude-x", usage)).toBe(1 + 4 + 2 + 8);
    expect(costOf(prices, "other", usage)).toBe(4 + 8 + 16 + 64);
    expect(costOf({ main: { input: 1, output: 1 } }, "mai", usage)).toBe(null);
  });

  test("[BUDGET7] that nobody can tell any more ends the turn, and counts again with its price", async () => {
    const gateway = { ...PRICES };
    const replies: Reply[] = [
      lists,
      async function* () {
        // The gateway starts again, with another price list.
        world.kill();
        gateway.GATEWAY_PRICES = "{}";
        world.start();
        yield* [];
      },
      lists,
      says,
      says,
    ];
    const world: SessionWorld = worldOf(replies, { gateway, settings: { budget: { cost_usd: 1 } } });
    const end = await endOf(world, {});
    const stop_details = { budget: "session", limit: "cost_usd", used: null, max: 1 };
    expect(end).toMatchObject({ status: "budget_exceeded", stop_details });
    gateway.GATEWAY_PRICES = PRICES.GATEWAY_PRICES;
    world.start();
    expect(await endOf(world, {})).toMatchObject({ status: "complete" });
    world.session.patch(ALICE, { budget: { cost_usd: 0.045 } });
    expect(await endOf(world, {})).toMatchObject({ stop_details: { limit: "cost_usd", used: 0.045 } });
  });

  test("[BUDGET6] of the demo model can be told too", async () => {
    const prices = { GATEWAY_PRICES: JSON.stringify({ demo: { input: 1, output: 1 } }) };
    const world = new SessionWorld({ model: createModels({}), settings: { model: "demo" }, gateway: prices });
    const turn = await passTimeUntil(world.run("Loop", { budget: { cost_usd: 0.0005 } }));
    expect(turn.status).toBe("budget_exceeded");
  });
});

test("[BUDGET1] seconds that tools used up leave nobody to be asked, whatever else is used up", async () => {
  const calls = [toolUse("t", "wait", { seconds: 10 }), toolUse("w", "write", { path: "a.txt", content: "a" })];
  const settings = { permissions: { write: "ask" as const }, budget: { seconds: 5 } };
  const world = worldOf([answer(calls), says], { settings });
  expect(await endOf(world, { budget: { tokens: 15 } })).toMatchObject({
    status: "budget_exceeded",
    stop_details: { budget: "session", limit: "seconds", used: 10, max: 5 },
  });
  const statuses = world.events("STATUS").map(({ data }) => data.status);
  expect(statuses).not.toContain("waiting");
});
