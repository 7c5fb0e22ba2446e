import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CallState, type NextStep, nextStep, type TurnState } from "../../src/engine/next-step.ts";

const NOW = 1_000;

const state = (change: Partial<TurnState> = {}): TurnState => ({
  cancelled: false,
  path: "complex",
  modelCalls: 0,
  maxIterations: 20,
  retryAt: null,
  starts: 0,
  steered: "none",
  overBudget: null,
  overSeconds: null,
  last: null,
  ...change,
});

/** A call by its letters: `r`ead-only or a `w`rite or an `u`nsafe one; then `o`pen, `s`tarted, `a`pplying, `c`losed or `w`aiting. */
function call(letters: string): CallState {
  const states: Record<string, CallState["status"]> = { s: "started", a: "applying", c: "closed" };
  return {
    readOnly: letters[0] === "r",
    retry: letters[0] === "u" ? "unsafe" : "safe",
    status: states[letters[1] ?? ""] ?? "open",
    waits: letters[1] === "w",
  };
}

/** The last message: its stop reason, and its calls by their letters. */
const last = (stopReason: string | null, calls = ""): TurnState["last"] => ({
  stopReason,
  stopDetails: null,
  calls: calls.split(" ").filter(Boolean).map(call),
});

const finish = (status: string, stopReason: string | null = null) => ({
  do: "finish",
  end: { status, stopReason, stopDetails: null, error: null },
});
const failed = { do: "finish", end: { status: "failed", error: { code: "interrupted", retryable: true } } };
const waitForAnswers = { do: "wait_for_answers" };
const overBudget = { budget: "turn" as const, limit: "tokens" as const, used: 11, max: 10 };
const overspent = { do: "finish", end: { status: "budget_exceeded", stopReason: "tool_use", stopDetails: overBudget } };
const overSeconds = { budget: "session" as const, limit: "seconds" as const, used: 6, max: 5 };
const late = { do: "finish", end: { status: "budget_exceeded", stopReason: "tool_use", stopDetails: overSeconds } };
const run = (...calls: number[]) => ({ do: "run_tools", calls });
const interrupt = (...calls: number[]) => ({ do: "interrupt_tools", calls });

describe("what a turn does next", () => {
  test.for<[rule: string, what: string, state: Partial<TurnState>, step: object]>([
    ["TURN1", "a turn that begins", {}, { do: "call_model" }],
    ["TURN18", "a cancelled turn", { cancelled: true }, finish("cancelled")],
    [
      "TURN18",
      "a cancelled turn with open calls",
      { cancelled: true, last: last("tool_use", "wo") },
      finish("cancelled"),
    ],
    ["TURN18", "a cancelled turn that waits", { cancelled: true, retryAt: NOW + 1 }, finish("cancelled")],
    ["MODEL12", "after end_turn", { last: last("end_turn") }, finish("complete", "end_turn")],
    ["MODEL12", "after stop_sequence", { last: last("stop_sequence") }, finish("complete", "stop_sequence")],
    ["MODEL14", "after max_tokens in text", { last: last("max_tokens") }, finish("complete", "max_tokens")],
    ["MODEL12", "after a stop reason yet to come", { last: last("tired") }, finish("complete", "tired")],
    ["MODEL16", "after pause_turn", { last: last("pause_turn") }, { do: "call_model" }],
    ["MODEL17", "after a refusal", { last: last("refusal") }, finish("refused", "refusal")],
    ["MODEL17", "after a refusal with calls", { last: last("refusal", "wo") }, finish("refused", "refusal")],
    ["MODEL13", "with an open call", { last: last("tool_use", "wo") }, run(0)],
    ["MODEL13", "with all calls closed", { last: last("tool_use", "wc rc") }, { do: "call_model" }],
    ["MODEL13", "with calls closed after pause_turn", { last: last("pause_turn", "wc") }, { do: "call_model" }],
    ["TOOL4", "reads next to each other", { last: last("tool_use", "ro ro ro") }, run(0, 1, 2)],
    ["TOOL4", "reads before a write", { last: last("tool_use", "ro ro wo ro") }, run(0, 1)],
    ["TOOL4", "a write before reads", { last: last("tool_use", "wo ro ro") }, run(0)],
    ["TOOL4", "reads after a write", { last: last("tool_use", "wc ro ro wo") }, run(1, 2)],
    ["TOOL4", "two writes", { last: last("tool_use", "wo wo") }, run(0)],
    ["TOOL4", "reads with a closed one between them", { last: last("tool_use", "ro rc ro") }, run(0)],
    ["TOOL14", "a safe call that was started", { last: last("tool_use", "ws ro") }, run(0)],
    ["TOOL14", "an unsafe call that was not started", { last: last("tool_use", "uo") }, run(0)],
    ["TOOL14", "an unsafe call that was started", { last: last("tool_use", "wc us ro") }, interrupt(1)],
    ["MODEL5", "a retry that is not due", { retryAt: NOW + 1 }, { do: "wait", until: NOW + 1 }],
    ["MODEL5", "a retry that is due", { retryAt: NOW }, { do: "call_model" }],
    [
      "TURN10",
      "a call beyond the limit",
      { modelCalls: 2, maxIterations: 2, last: last("tool_use", "rc") },
      finish("max_iterations", "tool_use"),
    ],
    ["TURN10", "the last call's tools", { modelCalls: 2, maxIterations: 2, last: last("tool_use", "ro") }, run(0)],
    [
      "TURN10",
      "the end at the limit",
      { modelCalls: 2, maxIterations: 2, last: last("end_turn") },
      finish("complete", "end_turn"),
    ],
    [
      "TURN10",
      "a pause at the limit",
      { modelCalls: 2, maxIterations: 2, last: last("pause_turn") },
      finish("max_iterations", "pause_turn"),
    ],
    [
      "TOOL19",
      "a call whose changes are decided",
      { last: last("tool_use", "wc wa ro") },
      { do: "apply_calls", calls: [1] },
    ],
    ["TOOL19", "one at a cancel", { cancelled: true, last: last("tool_use", "wa") }, { do: "apply_calls", calls: [0] }],
    ["TURN20", "one at the third start", { starts: 3, last: last("tool_use", "wa") }, interrupt(0)],
    ["TURN20", "the second start", { starts: 2, last: last("tool_use", "ro ro") }, run(0, 1)],
    [
      "TURN20",
      "the third start with open calls",
      { starts: 3, last: last("tool_use", "rc ro wo us") },
      interrupt(1, 2, 3),
    ],
    ["TURN20", "the third start with none", { starts: 3, last: last("tool_use", "rc") }, failed],
    ["TURN20", "the fourth start", { starts: 4, last: last("tool_use", "ro") }, failed],
    ["TURN23", "a text that waits before the first call", { steered: "waiting" }, { do: "steer" }],
    ["TURN23", "one after the last message", { steered: "waiting", last: last("end_turn") }, { do: "steer" }],
    ["TURN23", "one after the results", { steered: "waiting", last: last("tool_use", "wc rc") }, { do: "steer" }],
    ["TURN23", "one before them", { steered: "waiting", last: last("tool_use", "wc ro") }, run(1)],
    ["TURN23", "one that has joined", { steered: "joined", last: last("end_turn") }, { do: "call_model" }],
    ["TURN23", "one during a pause", { steered: "waiting", last: last("pause_turn") }, { do: "call_model" }],
    ["TURN23", "one before a retry", { steered: "waiting", retryAt: NOW + 1 }, { do: "steer" }],
    ["TURN25", "one at a cancel", { steered: "waiting", cancelled: true }, finish("cancelled")],
    ["TURN25", "one after a refusal", { steered: "waiting", last: last("refusal") }, finish("refused", "refusal")],
    [
      "TURN25",
      "one at the end at the limit",
      { steered: "waiting", modelCalls: 2, maxIterations: 2, last: last("end_turn") },
      finish("complete", "end_turn"),
    ],
    [
      "TURN25",
      "one after results at the limit",
      { steered: "waiting", modelCalls: 2, maxIterations: 2, last: last("tool_use", "rc") },
      finish("max_iterations", "tool_use"),
    ],
    ["TURN18", "a cancel at the fourth start", { starts: 4, cancelled: true }, finish("cancelled")],
    ["ASK8", "a call that waits", { last: last("tool_use", "ww") }, waitForAnswers],
    ["ASK8", "calls before one that waits", { last: last("tool_use", "ro ro rw ro") }, run(0, 1)],
    ["ASK8", "calls after one that waits", { last: last("tool_use", "rc ww ro wo") }, waitForAnswers],
    ["ASK14", "one that waits at a cancel", { cancelled: true, last: last("tool_use", "ww") }, finish("cancelled")],
    ["ASK14", "a text while one waits", { steered: "waiting", last: last("tool_use", "ww") }, waitForAnswers],
    ["ASK10", "one that waits at the third start", { starts: 3, last: last("tool_use", "ww wo") }, waitForAnswers],
    [
      "ASK10",
      "calls around it at the third start",
      { starts: 3, last: last("tool_use", "ro wo ww wo") },
      interrupt(0, 1),
    ],
    [
      "ASK8",
      "one that waits with no call of the model left",
      { modelCalls: 2, maxIterations: 2, last: last("tool_use", "ww") },
      waitForAnswers,
    ],
    ["BUDGET2", "one that waits with the budget used up", { overBudget, last: last("tool_use", "ww") }, waitForAnswers],
    ["BUDGET1", "one that waits with no time left", { overBudget, overSeconds, last: last("tool_use", "ww") }, late],
    ["BUDGET1", "one that reads with no time left", { overBudget, overSeconds, last: last("tool_use", "ro") }, late],
    ["BUDGET2", "all results with the budget used up", { overBudget, last: last("tool_use", "wc") }, overspent],
    [
      "BUDGET2",
      "an answer with the budget used up",
      { overBudget, last: last("end_turn") },
      finish("complete", "end_turn"),
    ],
  ])("[%s] %s", ([, , change, step]) => {
    expect(nextStep(state(change), NOW)).toMatchObject(step);
  });
});

const anyCall = fc
  .record({
    readOnly: fc.boolean(),
    retry: fc.constantFrom("safe" as const, "unsafe" as const),
    status: fc.constantFrom("open" as const, "started" as const, "applying" as const, "closed" as const),
    waits: fc.boolean(),
  })
  // What waits was not started.
  .map((one) => ({ ...one, waits: one.waits && (one.status === "open" || one.status === "closed") }));
/** What comes after a call that waits was not started either. */
function heldBack(calls: CallState[]): CallState[] {
  const waiting = calls.findIndex(({ status, waits }) => waits && status !== "closed");
  return calls.map((one, index) => {
    if (waiting === -1 || index < waiting || one.status === "closed") return one;
    return { ...one, status: "open" };
  });
}
const anyReason = fc.constantFrom(null, "end_turn", "tool_use", "max_tokens", "pause_turn", "refusal", "tired");
const anyLast = fc.record({
  stopReason: anyReason,
  stopDetails: fc.constantFrom(null, { type: "refusal" }),
  calls: fc.array(anyCall, { maxLength: 6 }).map(heldBack),
});
const anyState: fc.Arbitrary<TurnState> = fc.record({
  cancelled: fc.boolean(),
  path: fc.constantFrom("fast", "complex"),
  modelCalls: fc.nat(5),
  maxIterations: fc.integer({ min: 1, max: 5 }),
  retryAt: fc.option(fc.integer({ min: NOW - 2, max: NOW + 2 })),
  starts: fc.nat(5),
  steered: fc.constantFrom("none", "waiting", "joined"),
  overBudget: fc.option(fc.constant(overBudget), { freq: 2 }),
  overSeconds: fc.option(fc.constant(overSeconds), { freq: 1 }),
  last: fc.option(anyLast),
});

/** Checks what holds for every step. */
function check(before: TurnState, step: NextStep): void {
  const calls = before.last?.calls ?? [];
  const applying = calls.some(({ status }) => status === "applying") && before.starts < 3;
  expect(step.do === "apply_calls").toBe(applying);
  if (before.cancelled && !applying) expect(step).toMatchObject(finish("cancelled"));
  const waiting = calls.findIndex(({ status, waits }) => status !== "closed" && waits);
  const first = calls.findIndex(({ status }) => status !== "closed");
  if (waiting !== -1 && step.do === "call_model") throw new Error("the model is called before all is answered");
  if (waiting !== -1 && step.do === "steer") throw new Error("a text joins before all is answered");
  if (step.do === "wait_for_answers") expect(waiting).toBe(first);
  if (waiting === first && waiting !== -1) {
    const ends = before.cancelled || before.starts > 3 || before.last?.stopReason === "refusal";
    if (!applying) expect(step.do).toBe(ends ? "finish" : "wait_for_answers");
  }
  if (step.do === "run_tools" || step.do === "wait_for_answers") expect(before.overSeconds).toBeNull();
  if (step.do === "wait") expect(step.until).toBe(before.retryAt);
  if (step.do === "steer") expect(before.steered).toBe("waiting");
  if (step.do === "call_model") {
    expect(before.modelCalls).toBeLessThan(before.maxIterations);
    expect(before.overBudget).toBeNull();
    expect(calls.every(({ status }) => status === "closed")).toBe(true);
    expect(step.path).toBe(calls.length > 0 ? "complex" : before.path);
  }
  if (step.do !== "run_tools" && step.do !== "interrupt_tools" && step.do !== "apply_calls") return;
  const named = step.calls.map((index) => calls[index]);
  expect(named.length).toBeGreaterThan(0);
  expect(named.every((one) => one !== undefined && one.status !== "closed")).toBe(true);
  expect(step.calls).toEqual(step.calls.toSorted((a, b) => a - b));
  // What waits is neither run nor given up, nor is anything behind it.
  if (step.do !== "apply_calls" && waiting !== -1) expect(step.calls.every((index) => index < waiting)).toBe(true);
  if (step.do === "interrupt_tools") return;
  if (step.do === "apply_calls") {
    expect(named.every((one) => one?.status === "applying")).toBe(true);
    return;
  }
  expect(step.calls[0]).toBe(first);
  expect(step.calls).toEqual(step.calls.map((_, i) => first + i));
  expect(calls.slice(0, first).every(({ status }) => status === "closed")).toBe(true);
  expect(named.length === 1 || named.every((one) => one?.readOnly === true)).toBe(true);
  expect(calls.some(({ retry, status }) => retry === "unsafe" && status === "started")).toBe(false);
}

test("[TOOL4] [TOOL14] [TURN18] any state has a next step, and calls are run in order and never twice unsafely", () => {
  fc.assert(
    fc.property(anyState, (any) => {
      const step = nextStep(any, NOW);
      check(any, step);
      expect(nextStep(structuredClone(any), NOW)).toEqual(step);
    }),
    { numRuns: 2_000 },
  );
});

/** What the loop stores after a step, as the world decides it. */
function perform(before: TurnState, step: NextStep, message: NonNullable<TurnState["last"]>, dies: boolean): TurnState {
  if (dies) return { ...before, starts: before.starts + 1 };
  switch (step.do) {
    case "call_model":
      return {
        ...before,
        modelCalls: before.modelCalls + 1,
        retryAt: null,
        starts: 0,
        steered: before.steered === "joined" ? "none" : before.steered,
        last: open(message),
      };
    case "steer":
      return { ...before, steered: "joined" };
    case "wait":
      return { ...before, retryAt: null };
    case "run_tools":
    case "interrupt_tools":
    case "apply_calls":
      return { ...before, starts: 0, last: before.last && close(before.last, step.calls) };
    case "wait_for_answers":
      return { ...before, starts: 0, last: before.last && settle(before.last, message.calls[0]?.readOnly === true) };
    case "finish":
      return before;
  }
}

const open = (message: NonNullable<TurnState["last"]>): TurnState["last"] => ({
  ...message,
  calls: message.calls.map((one) => ({ ...one, status: "open" })),
});
const close = (message: NonNullable<TurnState["last"]>, closed: number[]): TurnState["last"] => ({
  ...message,
  calls: message.calls.map((one, index) => (closed.includes(index) ? { ...one, status: "closed" } : one)),
});

/** Somebody answers for the first call that waits: it may run, or is closed. */
function settle(message: NonNullable<TurnState["last"]>, allowed: boolean): TurnState["last"] {
  const at = message.calls.findIndex(({ status, waits }) => status !== "closed" && waits);
  const calls = message.calls.map((one, index) => (index === at ? { ...one, waits: false } : one));
  return allowed ? { ...message, calls } : close({ ...message, calls }, [at]);
}

test("[TURN10] [TURN20] [ASK8] a turn ends, if all that it waits for is answered, whatever the model answers and however often the process dies", () => {
  const world = fc.array(fc.tuple(anyLast, fc.boolean()), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(anyState, world, (any, answers) => {
      let now: TurnState = any;
      const limit = (any.maxIterations + 1) * 40;
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThan(limit);
        const step = nextStep(now, NOW);
        check(now, step);
        if (step.do === "finish") break;
        const [message, dies] = answers[steps % answers.length] ?? [
          { stopReason: null, stopDetails: null, calls: [] },
          false,
        ];
        now = perform(now, step, message, dies);
      }
      expect(now.modelCalls).toBeLessThanOrEqual(Math.max(any.modelCalls, any.maxIterations));
    }),
    { numRuns: 1_000 },
  );
});
