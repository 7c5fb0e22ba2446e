import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MODEL_MAX_ATTEMPTS } from "../../src/engine/model-failure.ts";
import { tokensOf } from "../../src/protocol/budget.ts";
import { type EventOf, NO_USAGE } from "../../src/protocol/events.ts";
import { MESSAGE_MAX_CALLS } from "../../src/protocol/limits.ts";
import type { Turn } from "../../src/protocol/rest.ts";
import type { Settings } from "../../src/session/settings.ts";
import { sleep } from "../../src/timing/sleep.ts";
import { answer, fails, HandModel, type Reply } from "../support/hand-model.ts";
import { text, thinking, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs one turn a text over these replies. */
async function play(replies: Reply[], texts: string[] = ["go"], settings: Partial<Settings> = {}) {
  const model = new HandModel(replies, { main: "adaptive", budget: "budget" });
  const world = new SessionWorld({ model, settings });
  const turns: Turn[] = [];
  for (const input of texts) turns.push(await passTimeUntil(world.run(input)));
  return { world, model, turns, ends: world.events("ITERATION_END").map(({ data }) => data) };
}

type Retrying = Extract<EventOf<"STATUS">["data"], { status: "retrying" }>;
const retries = (world: SessionWorld) =>
  world.events("STATUS").flatMap(({ data }) => (data.status === "retrying" ? [data satisfies Retrying] : []));
const user = (...texts: string[]) => ({ role: "user", content: texts.map((value) => ({ type: "text", text: value })) });
const said = (value: string) => ({ role: "assistant", content: [{ type: "text", text: value }] });
const list = (id: string) => toolUse(id, "list", {});
/** A file is written and read, again and again. */
const READING = [
  answer([toolUse("0", "write", { path: "a.txt", content: "Some words. ".repeat(500) })]),
  ...["1", "2", "3"].map((id) => answer([toolUse(id, "read", { path: "a.txt" })])),
];
const FULL = answer([text("x")], { stopReason: "model_context_window_exceeded" });
const clearedIn = (model: HandModel, at: number) =>
  JSON.stringify(model.requests[at]?.messages).split("was cleared").length - 1;
/** A stream that breaks off after so many events. */
const cut = (events: unknown[], after: number) => events.slice(0, after);

describe("a message that stops with", () => {
  test.for([["end_turn"], ["stop_sequence"], ["max_tokens"]])(
    "[MODEL12] [MODEL14] %s in text is complete",
    async ([stopReason = ""]) => {
      const { ends, turns } = await play([answer([text("Hi")], { stopReason })]);
      expect(ends).toMatchObject([{ status: "complete", stop_reason: stopReason, stop_details: null }]);
      expect(turns).toMatchObject([{ status: "complete", response_text: "Hi", usage: { output_tokens: 5 } }]);
    },
  );

  test("[MODEL13] [MODEL4] tool_use has its calls run, and their results sent", async () => {
    const { model, ends } = await play([answer([text("a"), list("1"), list("2")]), answer([text("b")])]);
    expect(ends).toMatchObject([{ status: "complete", stop_reason: "end_turn", tool_calls: 2 }]);
    expect(model.requests[1]?.messages[2]?.content.map((block) => block["tool_use_id"])).toEqual(["1", "2"]);
  });

  test("[MODEL15] max_tokens inside a tool call has none run, and a higher limit once", async () => {
    const half = answer([text("a"), list("1"), toolUse("2", "write", { path: "x", content: "" })], {
      stopReason: "max_tokens",
    });
    const { world, model, ends } = await play([half, answer([list("3")]), answer([text("b")])]);
    expect(model.requests.map(({ max_tokens }) => max_tokens)).toEqual([1_000, 4_000, 4_000]);
    expect(world.events("TOOL_CALL").map(({ data }) => data.id)).toEqual(["3"]);
    const [dropped] = world.events("TEXT");
    expect(dropped?.data).toMatchObject({ text: "", discarded: true });
    expect(retries(world)).toEqual([
      { status: "retrying", attempt: 2, code: "max_tokens", delay_seconds: 0, discard: [dropped?.seq] },
    ]);
    // The call that was dropped counts too.
    expect(ends).toMatchObject([{ status: "complete", usage: { output_tokens: 15 } }]);
  });

  test("[MODEL15] max_tokens inside a tool call twice fails, and its blocks are named", async () => {
    const half = answer([text("a"), list("1")], { stopReason: "max_tokens" });
    const { world, ends } = await play([half, half]);
    expect(ends).toMatchObject([{ status: "failed", stop_reason: "max_tokens", tool_calls: 0 }]);
    const [, second] = world.events("TEXT");
    expect(world.events("ERROR")).toMatchObject([
      { data: { code: "max_tokens", retryable: false, discard: [second?.seq] } },
    ]);
    expect(world.events("TOOL_CALL")).toEqual([]);
  });

  test("[MODEL37] too many tool calls runs none, and is not asked for again", async () => {
    const calls = Array.from({ length: MESSAGE_MAX_CALLS + 1 }, (_, i) => list(`call_${i}`));
    const { world, model, ends } = await play([answer([text("a"), ...calls])]);
    expect(model.requests).toHaveLength(1);
    expect(ends).toMatchObject([{ status: "failed", tool_calls: 0 }]);
    expect(world.events("ERROR")).toMatchObject([{ data: { code: "output_too_large", retryable: false } }]);
    expect(world.events("TOOL_CALL")).toEqual([]);
    // What the model wrote is paid for.
    expect(tokensOf(ends[0]?.usage ?? NO_USAGE)).toBeGreaterThan(10 + MESSAGE_MAX_CALLS / 2);
  });

  test("[MODEL16] pause_turn goes on with the message last, as often as max_iterations allows", async () => {
    const paused = (value: string) => answer([text(value)], { stopReason: "pause_turn" });
    const replies = [paused("a"), paused("b"), paused("c")];
    const { model, ends } = await play(replies, ["go"], { max_iterations: 3 });
    expect(model.requests[1]?.messages).toEqual([user("go"), said("a")]);
    expect(model.requests[2]?.messages[1]?.content).toHaveLength(2);
    expect(ends).toMatchObject([{ status: "max_iterations", stop_reason: "pause_turn" }]);
  });

  test("[MODEL17] [TURN21] refusal runs nothing, keeps its details, and is left out of later requests", async () => {
    const stopDetails = { type: "refusal", explanation: "No." };
    const refusal = answer([text("I will not"), list("1")], { stopReason: "refusal", stopDetails });
    const { world, model, ends } = await play([refusal, answer([text("b")])], ["bad", "good"]);
    expect(ends).toMatchObject([
      { status: "refused", stop_reason: "refusal", stop_details: stopDetails, tool_calls: 0 },
      { status: "complete" },
    ]);
    expect(world.events("TOOL_CALL")).toEqual([]);
    expect(model.requests[1]?.messages).toEqual([user("good")]);
  });

  test("[MODEL18] model_context_window_exceeded is retried with older results left out", async () => {
    const { world, model, ends } = await play([...READING, FULL, answer([text("b")])]);
    expect([READING.length, READING.length + 1].map((at) => clearedIn(model, at))).toEqual([0, 2]);
    expect(retries(world).map(({ code }) => code)).toEqual(["model_context_window_exceeded"]);
    expect(ends).toMatchObject([{ status: "complete" }]);
  });

  test("[MODEL18] model_context_window_exceeded fails the turn where nothing can be left out", async () => {
    const { world, ends } = await play([FULL]);
    expect(retries(world)).toEqual([]);
    expect(ends).toMatchObject([{ status: "failed", stop_reason: "model_context_window_exceeded" }]);
  });
});

describe("a call that fails", () => {
  test.for<[what: string, code: string, first: Reply]>([
    ["by an overloaded server", "overloaded_error", fails("overloaded_error", { status: 529 })],
    ["by the network", "network", fails("network")],
    ["by a cut", "cut", cut(answer([text("Half", 1)]), 4)],
    ["by a stream without a stop reason", "cut", [...answer([text("Half")]).slice(0, 4), { type: "message_stop" }]],
    [
      "by what is no event",
      "malformed",
      [...cut(answer([thinking("Half", "s", 1)]), 3), { type: "content_block_stop" }],
    ],
  ])("[MODEL5] [MODEL10] [BLOCK8] %s is retried, visibly, and what it said is dropped", async ([, code, first]) => {
    const { world, model, ends } = await play([first, answer([text("Whole")])]);
    const dropped = world.log().flatMap(({ seq, data }) => ("discarded" in data ? [seq] : []));
    expect(retries(world)).toEqual([{ status: "retrying", attempt: 2, code, delay_seconds: 0.375, discard: dropped }]);
    expect(model.attempts).toEqual([1, 2]);
    expect(model.requests[1]).toEqual(model.requests[0]);
    expect(ends).toMatchObject([{ status: "complete" }]);
    expect(world.session.result(world.log()[0]?.turn_id ?? "").response_text).toBe("Whole");
  });

  test("[MODEL7] [MODEL5] again and again is given up after the last attempt", async () => {
    const { world, model, ends } = await play([...Array(MODEL_MAX_ATTEMPTS)].map(() => fails("network")));
    expect(model.attempts).toEqual([1, 2, 3, 4, 5, 6]);
    expect(retries(world).map(({ delay_seconds }) => delay_seconds)).toEqual([0.375, 0.75, 1.5, 3, 6]);
    expect(world.events("ERROR")).toMatchObject([{ data: { code: "network", retryable: true } }]);
    expect(ends).toMatchObject([{ status: "failed", duration_seconds: 11.625 }]);
  });

  test("[MODEL6] [TURN10] waits as long as the server says, and counts as one call", async () => {
    const replies = [fails("rate_limit_error", { status: 429, retryAfterMs: 20_000 }), answer([text("a")])];
    const { world, ends } = await play(replies, ["go"], { max_iterations: 1 });
    expect(retries(world).map(({ delay_seconds }) => delay_seconds)).toEqual([20]);
    expect(ends).toMatchObject([{ status: "complete" }]);
  });

  test("[MODEL6] of a server that asks for more than 15 minutes ends the turn at once, and says how long", async () => {
    const asks = (retryAfterMs: number) => fails("rate_limit_error", { status: 429, retryAfterMs });
    const { world, model, ends } = await play([asks(900_000), asks(900_001), answer([text("a")])], ["go", "on"]);
    expect(retries(world).map(({ delay_seconds }) => delay_seconds)).toEqual([900]);
    expect(ends).toMatchObject([{ status: "failed", duration_seconds: 900 }, { status: "complete" }]);
    const message = expect.stringContaining("again in 901 s");
    expect(world.events("ERROR")).toMatchObject([{ data: { code: "rate_limit_error", retryable: true, message } }]);
    expect(model.requests[2]?.messages).toEqual([user("go", "on")]);
  });

  test("[MODEL36] [ROOM10] for the request's length is retried with less as long as something is left, and then is given up", async () => {
    const tooLong = fails("invalid_request_error", { status: 400, tooLong: true });
    const first = [tooLong, ...READING, tooLong, answer([text("b")])];
    const replies = [...first, tooLong, answer([text("They read.")]), tooLong, answer([text("c")])];
    const { world, model, ends } = await play(replies, ["long", "go", "on", "again"]);
    expect(ends).toMatchObject(["failed", "complete", "failed", "complete"].map((status) => ({ status })));
    const code = "invalid_request_error";
    expect(retries(world)).toMatchObject([5, 7].map(() => ({ attempt: 2, code, delay_seconds: 0 })));
    expect(world.events("ERROR")).toMatchObject([1, 2].map(() => ({ data: { code, retryable: false } })));
    const rooms = world.events("STATUS").flatMap(({ data }) => (data.status === "made_room" ? [data] : []));
    expect(rooms).toEqual([
      { status: "made_room", by: "gateway", cleared_results: 2 },
      { status: "made_room", by: "gateway", summarised_turns: 1 },
    ]);
    expect(model.attempts.every((attempt) => attempt === 1)).toBe(true);
    // What was refused for good is left out, the summary is not.
    expect(model.requests.at(-1)?.messages).toEqual([user("Summary of the conversation so far:\nThey read.", "again")]);
  });

  test("[DEMO20] counts its attempts anew after a step", async () => {
    const { model } = await play([fails("network"), answer([list("1")]), fails("network"), answer([text("a")])]);
    expect(model.attempts).toEqual([1, 2, 1, 2]);
  });

  test.for<[rule: string, code: string, status: number, kept: boolean]>([
    ["MODEL9", "invalid_request_error", 400, false],
    ["MODEL8", "authentication_error", 401, true],
    ["MODEL8", "billing_error", 402, true],
    ["MODEL8", "permission_error", 403, true],
    ["MODEL8", "not_found_error", 404, true],
    ["MODEL9", "request_too_large", 413, false],
  ])("[%s] [TURN21] for good, with %s (%s), is not retried; its input is kept: %s", async ([, code, status, kept]) => {
    const { world, model, ends } = await play([fails(code, { status }), answer([text("a")])], ["first", "second"]);
    expect(ends).toMatchObject([{ status: "failed" }, { status: "complete" }]);
    expect(world.events("ERROR")).toMatchObject([{ data: { code, retryable: false } }]);
    expect(model.requests[1]?.messages).toEqual([kept ? user("first", "second") : user("second")]);
  });
});

describe("a stream that says nothing more", () => {
  test.for<[what: string, said: unknown[], seconds: number]>([
    ["from the start", [], 120],
    ["after it began", answer([text("Half")]).slice(0, 3), 90],
  ])("[MODEL11] [MODEL26] %s is given up, and so is its connection", async ([, events, seconds]) => {
    const closed: boolean[] = [];
    const hanging: Reply = async function* (_, { signal }) {
      yield* events;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      closed.push(signal.aborted);
      // Whoever gave up must not hear of this any more.
      yield* answer([text("too late")]);
    };
    const began = Date.now();
    const { world, ends } = await play([hanging, answer([text("Whole")])]);
    expect(retries(world)).toMatchObject([{ code: "stalled" }]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(seconds * 1_000);
    expect(Date.now() - began).toBeLessThan(seconds * 1_000 + 2_500);
    expect(closed).toEqual([true]);
    expect(ends).toMatchObject([{ status: "complete" }]);
    expect(world.session.turns({ limit: 1, cursor: null }).turns[0]?.response_text).toBe("Whole");
  });
});

describe("a message that gets on slowly", () => {
  /** The events of a message, with signs of life every 30 s before each: so long that the next event is `seconds` late. */
  const slow = (events: unknown[], seconds: number): Reply =>
    async function* (_, { signal }) {
      for (const event of events) {
        for (let waited = 0; waited < seconds; waited += 30) {
          await sleep(Math.min(30, seconds - waited) * 1_000, signal);
          yield { type: waited % 60 === 0 ? "ping" : "event_to_come" };
        }
        yield event;
      }
    };
  const whole = answer([thinking("Hm", "s"), text("Whole")]);

  test("[MODEL32] is waited for as long as it gets on", async () => {
    const { model, ends } = await play([slow(whole, 590)]);
    expect(model.attempts).toEqual([1]);
    expect(ends).toMatchObject([{ status: "complete", duration_seconds: 590 * whole.length }]);
  });

  test.for<[what: string, sent: number]>([
    ["from the start", 0],
    ["in the middle", 4],
  ])("[MODEL32] [MODEL26] is given up when it does not, %s, though there are signs of life", async ([, sent]) => {
    const aborted: boolean[] = [];
    const stuck: Reply = async function* (request, call) {
      yield* whole.slice(0, sent);
      call.signal.addEventListener("abort", () => aborted.push(true));
      const endless = slow([{}], Number.POSITIVE_INFINITY);
      if (typeof endless === "function") yield* endless(request, call);
    };
    const { world, ends } = await play([stuck, answer([text("Whole")])]);
    expect(retries(world)).toMatchObject([{ code: "stalled", attempt: 2 }]);
    expect(aborted).toEqual([true]);
    expect(ends[0]?.status).toBe("complete");
    expect(ends[0]?.duration_seconds).toBeGreaterThanOrEqual(600);
    expect(ends[0]?.duration_seconds).toBeLessThan(603);
  });

  test("[MODEL32] is given up in time by a server that leaves no pause between its signs of life", async () => {
    const flood: Reply = function* () {
      for (;;) {
        vi.setSystemTime(Date.now() + 100);
        yield { type: "ping" };
      }
    };
    const { world } = await play([flood, answer([text("Whole")])]);
    expect(retries(world)).toMatchObject([{ code: "stalled" }]);
  });

  test("[MODEL33] is given up after two hours, and not tried again", async () => {
    const [begin, open, delta] = answer([text("word ")]);
    const endless = slow([begin, open, ...Array(500).fill(delta)], 60);
    const { world, model, ends } = await play([endless, answer([text("a")])], ["go", "on"]);
    expect(model.attempts).toEqual([1, 1]);
    const dropped = world.events("TEXT")[0]?.seq;
    expect(world.events("ERROR")).toMatchObject([
      { data: { code: "call_too_long", retryable: false, discard: [dropped] } },
    ]);
    expect(ends).toMatchObject([{ status: "failed" }, { status: "complete" }]);
    expect(ends[0]?.duration_seconds).toBeGreaterThanOrEqual(7_200);
    expect(ends[0]?.duration_seconds).toBeLessThan(7_202);
    expect(model.requests[1]?.messages).toEqual([user("go", "on")]);
  });
});

describe("the fast model", () => {
  const settings = { fast_model: "quick" };
  const replies = [answer([list("1")]), answer([list("2")]), answer([text("a")])];
  const paths = (world: SessionWorld) =>
    world.events("STATUS").flatMap(({ data }) => (data.status === "processing" ? [[data.iteration, data.path]] : []));

  test("[TURN6] [TURN7] begins the turn without thinking, and the other goes on after its first calls", async () => {
    const { world, model } = await play(replies, ["go"], settings);
    expect(model.requests.map((request) => [request.model, request.thinking])).toEqual([
      ["quick", false],
      ["main", true],
      ["main", true],
    ]);
    expect(paths(world)).toEqual([
      [1, "fast"],
      [2, "complex"],
    ]);
  });

  test("[TURN7] a model with a budget does not begin to think in the middle of a tool loop, but in the next turn", async () => {
    const { model } = await play([...replies, answer([list("3")]), answer([])], ["go", "on"], {
      ...settings,
      model: "budget",
    });
    expect(model.requests.map((request) => [request.model, request.thinking])).toEqual([
      ["quick", false],
      ["budget", false],
      ["budget", false],
      ["quick", false],
      ["budget", false],
    ]);
  });

  test("[TURN7] without calls it does the whole turn; force_complex leaves it out", async () => {
    const model = new HandModel([answer([text("a")]), answer([text("b")])], { main: "adaptive" });
    const world = new SessionWorld({ model, settings });
    await passTimeUntil(world.run("go"));
    await passTimeUntil(world.run("go", { force_complex: true }));
    expect(model.requests.map((request) => [request.model, request.thinking])).toEqual([
      ["quick", false],
      ["main", true],
    ]);
    expect(paths(world)).toEqual([
      [1, "fast"],
      [1, "complex"],
    ]);
  });
});
