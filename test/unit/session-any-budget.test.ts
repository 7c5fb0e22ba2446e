import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Model, ModelError, type ModelRequest } from "../../src/engine/ports.ts";
import { type Budget, type Spent, tokensOf } from "../../src/protocol/budget.ts";
import type { Usage } from "../../src/protocol/events.ts";
import { answer, HandModel } from "../support/hand-model.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";
import { restInMemory } from "../support/ticks.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const PRICES = { main: { input: 100, output: 500, cache_read: 10 }, "fa*": { input: 20, output: 100 } };

/** What becomes of one call of the model: how it ends, what it uses, and how long it takes. */
type Outcome = {
  ends: "says" | "lists" | "waits" | "asks" | "fails" | "is cut" | "rambles" | "overflows";
  /** How many characters are said before it is cut, or rambles on. */
  said: number;
  usage: Usage;
  ms: number;
};

const amount = fc.nat(40);
const anyOutcome: fc.Arbitrary<Outcome> = fc.record({
  ends: fc.constantFrom("says", "lists", "lists", "waits", "asks", "fails", "is cut", "rambles", "overflows"),
  said: fc.nat(300),
  usage: fc.record({
    input_tokens: amount,
    output_tokens: amount.map((n) => n + 1),
    cache_read_input_tokens: amount,
    cache_creation_input_tokens: amount,
  }),
  ms: fc.nat(3_000),
});

const anyBudget: fc.Arbitrary<Budget> = fc.oneof(
  fc.record({ tokens: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ seconds: fc.integer({ min: 1, max: 12_000 }).map((ms) => ms / 1_000) }),
  fc.record({ cost_usd: fc.integer({ min: 1, max: 60 }).map((n) => n / 1_000) }),
  fc.record({ tokens: fc.integer({ min: 1, max: 400 }), seconds: fc.integer({ min: 1, max: 12 }) }),
);
const maybeBudget = fc.option(anyBudget, { nil: undefined, freq: 3 });

type Command =
  | { do: "submit"; budget: Budget | undefined; on_busy: "enqueue" | "steer" }
  | { do: "patch"; budget: Budget | null }
  | { do: "pass"; ms: number }
  | { do: "answer" }
  | { do: "cancel" }
  | { do: "kill"; down: number };

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record<Command & { do: "submit" }>({
    do: fc.constant("submit"),
    budget: maybeBudget,
    on_busy: fc.constantFrom("enqueue", "steer"),
  }),
  fc.record<Command & { do: "patch" }>({ do: fc.constant("patch"), budget: fc.option(anyBudget) }),
  { weight: 3, arbitrary: fc.record<Command & { do: "pass" }>({ do: fc.constant("pass"), ms: fc.nat(4_000) }) },
  fc.constant<Command>({ do: "answer" }),
  fc.constant<Command>({ do: "cancel" }),
  fc.record<Command & { do: "kill" }>({ do: fc.constant("kill"), down: fc.nat(500) }),
);

/** One call as the model saw it. It is counted once it has ended while its process was alive. */
type Call = { turnId: string; model: string; usage: Usage; ended: boolean };

const NOTHING: Spent = { tokens: 0, seconds: 0, cost_usd: 0 };

/** Plays a session, and looks at every call of the model whether it might be made. */
class BudgetPlay extends HandModel {
  readonly world: SessionWorld;
  readonly faults: unknown[] = [];
  readonly #outcomes: Outcome[];
  readonly #calls: Call[] = [];
  /** What came with each message, by its text: one that steers may become a turn of its own, and keeps it. */
  readonly #budgets: (Budget | undefined)[] = [];
  #session: Budget | null;
  /** When turns began, waited and ended, by what clients were told. */
  readonly #clocks = new Map<string, { ran: number; since: number | null }>();
  #read = 0;
  #asked = 0;

  constructor(outcomes: Outcome[], session: Budget | undefined, fast: boolean) {
    super([]);
    this.#outcomes = outcomes;
    this.#session = session ?? null;
    this.world = new SessionWorld({
      model: this,
      settings: { budget: session, fast_model: fast ? "fast" : null, max_iterations: 12 },
      gateway: { GATEWAY_PRICES: JSON.stringify(PRICES) },
    });
  }

  override async *stream(request: ModelRequest, { signal }: Parameters<Model["stream"]>[1]): AsyncGenerator<unknown> {
    const { ends, said, usage, ms } = this.#outcomes[this.#asked++ % this.#outcomes.length] ?? NO_OUTCOME;
    const turnId = this.world.session.describe().active_turn ?? "none";
    this.#check(turnId);
    const call = { turnId, model: request.model, usage, ended: false };
    this.#calls.push(call);
    const { session } = this.world;
    const isAlive = () => this.world.alive && session === this.world.session;
    const broken = answer([text("x".repeat(said))], { usage }).slice(0, said === 0 ? 2 : 3);
    const usedByThen = { ...usage, output_tokens: Math.max(1, Math.ceil(said / 3)) };
    if (ends === "rambles") {
      signal.addEventListener("abort", () =>
        Object.assign(call, { usage: usedByThen, ended: call.ended || isAlive() }),
      );
      yield* broken;
    }
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (!isAlive() || signal.aborted) return;
    call.ended = true;
    const id = `call_${this.#asked}`;
    switch (ends) {
      case "says":
        return yield* answer([text("Yes.")], { usage });
      case "lists":
        return yield* answer([toolUse(id, "list", {})], { usage });
      case "waits":
        return yield* answer([toolUse(id, "wait", { seconds: 1 })], { usage });
      case "asks":
        return yield* answer([toolUse(id, "ask_user", { question: "Which?" })], { usage });
      case "overflows":
        return yield* answer([toolUse(id, "list", {})], { usage, stopReason: "max_tokens" });
      case "fails":
        call.usage = { ...usage, input_tokens: 0, output_tokens: 0, ...NO_CACHE };
        throw new ModelError("overloaded_error", "The test fails the call.", { status: 529 });
      case "is cut":
        call.usage = usedByThen;
        return yield* broken;
      case "rambles":
        // It is said to the end only where nobody cancels it.
        call.usage = usedByThen;
        return;
    }
  }

  async run(command: Command): Promise<void> {
    const { session } = this.world;
    switch (command.do) {
      case "submit": {
        const { budget, on_busy } = command;
        const number = this.#budgets.push(budget) - 1;
        session.submit(ALICE, { user_input: `${number}`, budget, on_busy }, null);
        break;
      }
      case "patch":
        this.#session = command.budget;
        session.patch(ALICE, { budget: command.budget });
        break;
      case "pass":
        await vi.advanceTimersByTimeAsync(command.ms);
        break;
      case "answer":
        for (const input of session.describe().pending_inputs) {
          if ("input_id" in input) session.answer(ALICE, input.input_id, "That one.", "token");
        }
        break;
      case "cancel":
        await session.cancel();
        break;
      case "kill":
        this.world.kill();
        await vi.advanceTimersByTimeAsync(command.down);
        this.world.start();
        break;
    }
    await restInMemory();
    const [fault] = this.faults;
    if (fault !== undefined) throw fault;
  }

  /** Answers and waits until nothing runs. */
  async finish(): Promise<void> {
    for (let i = 0; this.world.session.describe().status !== "idle"; i++) {
      expect(i, "steps to the end").toBeLessThan(2_000);
      await this.run({ do: "pass", ms: 1_500 });
      await this.run({ do: "answer" });
    }
  }

  /** Whoever ended by a budget had used it up, and is told so in the numbers of this test. */
  checkEnds(): void {
    for (const { turn_id, data } of this.world.events("ITERATION_END")) {
      expect(["complete", "failed", "max_iterations", "cancelled", "budget_exceeded"]).toContain(data.status);
      if (data.status === "budget_exceeded") {
        const { budget, limit, used, max } = Object(data.stop_details);
        expect(used).toBeGreaterThanOrEqual(max);
        expect(["turn", "session"]).toContain(budget);
        if (budget === "turn") {
          expect(max).toBe(this.#budgetOf(turn_id ?? "")?.[toLimit(limit)]);
          expect(used).toBeCloseTo(this.#spent(turn_id)[toLimit(limit)] ?? Number.NaN, 9);
        }
      }
      const used = this.#calls.filter((call) => call.turnId === turn_id && call.ended);
      expect(tokensOf(data.usage)).toBe(used.reduce((sum, { usage }) => sum + tokensOf(usage), 0));
    }
  }

  #check(turnId: string): void {
    try {
      expectRoom(this.#budgetOf(turnId), this.#spent(turnId));
      expectRoom(this.#session, this.#spent(null));
    } catch (thrown) {
      this.faults.push(thrown);
    }
  }

  #budgetOf(turnId: string): Budget | null {
    return this.#budgets[Number(this.world.session.turn(turnId).user_input)] ?? null;
  }

  /** What a turn used, or all of them. */
  #spent(turnId: string | null): Spent {
    this.#readClocks();
    const calls = this.#calls.filter((call) => call.ended && (turnId === null || call.turnId === turnId));
    const clocks = turnId === null ? [...this.#clocks.values()] : [this.#clocks.get(turnId)];
    const ms = clocks.map((clock) =>
      clock === undefined ? 0 : clock.ran + (clock.since === null ? 0 : Date.now() - clock.since),
    );
    const spent = calls.reduce(
      ({ tokens, cost_usd }, { model, usage }) => ({
        tokens: tokens + tokensOf(usage),
        cost_usd: cost_usd + costIn(model, usage),
      }),
      { tokens: 0, cost_usd: 0 },
    );
    return { ...NOTHING, ...spent, seconds: ms.reduce((sum, one) => sum + one, 0) / 1_000 };
  }

  #readClocks(): void {
    for (const { turn_id, type, data, timestamp } of this.world.sent.slice(this.#read)) {
      this.#read++;
      if (turn_id === null) continue;
      const at = Date.parse(timestamp);
      const clock = this.#clocks.get(turn_id) ?? { ran: 0, since: null };
      if (type === "SESSION_INFO") clock.since = at;
      const stops = type === "ITERATION_END" || (type === "STATUS" && data.status === "waiting");
      if (stops && clock.since !== null) {
        clock.ran += at - clock.since;
        clock.since = null;
      }
      // The one who asked is told the result in the moment in which the turn goes on.
      if (type === "TOOL_RESULT" && clock.since === null) clock.since = at;
      this.#clocks.set(turn_id, clock);
    }
  }
}

const NO_CACHE = { cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
const NO_OUTCOME: Outcome = { ends: "says", said: 0, usage: { input_tokens: 1, output_tokens: 1, ...NO_CACHE }, ms: 0 };

function toLimit(name: unknown): keyof Budget {
  if (name === "tokens" || name === "seconds" || name === "cost_usd") return name;
  throw new Error(`no limit: ${name}`);
}

function costIn(model: string, usage: Usage): number {
  const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
  return model === "main"
    ? (100 * (input_tokens + cache_creation_input_tokens) + 500 * output_tokens + 10 * cache_read_input_tokens) / 1e6
    : (20 * (input_tokens + cache_creation_input_tokens + cache_read_input_tokens) + 100 * output_tokens) / 1e6;
}

/** A call may be made while nothing is used up. */
function expectRoom(budget: Budget | null, spent: Spent): void {
  for (const [limit, max] of Object.entries(budget ?? {})) {
    if (max === undefined) continue;
    // Sums in another order differ in their last digits.
    expect(spent[toLimit(limit)], limit).toBeLessThan(max + 1e-9);
  }
}

test("[BUDGET1] [BUDGET2] [BUDGET3] [BUDGET4] [BUDGET5] any turns of complete, cut and cancelled calls pass no budget but by the call that was under way", async () => {
  const anyRun = fc.tuple(
    fc.array(anyOutcome, { minLength: 1, maxLength: 12 }),
    maybeBudget,
    fc.boolean(),
    fc.array(anyCommand, { minLength: 1, maxLength: 14 }),
  );
  let exceeded = 0;
  let cancelled = 0;
  await fc.assert(
    fc.asyncProperty(anyRun, async ([outcomes, session, fast, commands]) => {
      const play = new BudgetPlay(outcomes, session, fast);
      await play.run({ do: "submit", budget: undefined, on_busy: "enqueue" });
      for (const command of commands) await play.run(command);
      await play.finish();
      play.checkEnds();
      const ends = play.world.events("ITERATION_END").map(({ data }) => data.status);
      exceeded += ends.filter((status) => status === "budget_exceeded").length;
      cancelled += ends.filter((status) => status === "cancelled").length;
    }),
    { numRuns: 100 },
  );
  // The property says something only where budgets are reached, and calls cancelled.
  expect(exceeded).toBeGreaterThan(20);
  expect(cancelled).toBeGreaterThan(10);
});
