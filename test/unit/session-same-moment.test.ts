import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ModelError } from "../../src/engine/ports.ts";
import type { Cancelled } from "../../src/protocol/rest.ts";
import { answer, HandModel } from "../support/hand-model.ts";
import { text } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** More than lie between the end of a model's answer and that of its turn. */
const TICKS = 40;
const DONE = answer([text("Done.")]);

/** A turn that is cancelled so many microtasks after the model's call ended, and what the cancel was answered. */
async function cancelAfter(ticks: number, end: () => Iterable<unknown>) {
  const answers: Promise<Cancelled>[] = [];
  const cancel = async () => {
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    return world.session.cancel();
  };
  const ending = async function* () {
    yield* answer([text("Half", 2)]).slice(0, 3);
    answers.push(cancel());
    yield* end();
  };
  const model = new HandModel([ending, DONE, DONE]);
  const world = new SessionWorld({ model });
  const turn = await passTimeUntil(world.run("one"));
  return { world, model, turn, cancelled: await answers[0] };
}

function* fails(error: ModelError): Generator<unknown> {
  yield* [];
  throw error;
}
const ends = (stopReason: string) => answer([text("Half", 2)], { stopReason }).slice(3);

test.each<[string, () => Iterable<unknown>]>([
  ["that fails for good", () => fails(new ModelError("authentication_error", "", { status: 401 }))],
  ["that fails for now", () => fails(new ModelError("overloaded_error", "", { status: 529 }))],
  ["whose message cannot be kept", () => ends("model_context_window_exceeded")],
])("[TURN18] a call %s in the moment of its cancel keeps its text and is cancelled", async (_, end) => {
  for (let ticks = 0; ticks < TICKS; ticks++) {
    const { world, turn, cancelled } = await cancelAfter(ticks, end);
    const statuses = world.events("STATUS").map(({ data }) => data.status);
    const wasLate = cancelled?.turn_id !== turn.turn_id || statuses.includes("retrying");
    if (!wasLate) expect(turn).toMatchObject({ status: "cancelled", response_text: expect.stringContaining("Ha") });
    else expect(ticks).toBeGreaterThan(0);
  }
});

test.each<[string, () => Iterable<unknown>]>([
  ["[MODEL9]", () => fails(new ModelError("invalid_request_error", "", { status: 400 }))],
  ["[MODEL17]", () => ends("refusal")],
])(
  "%s what the API refused is left out of later requests, also where it was cancelled in that moment",
  async (_, end) => {
    const outcomes: string[] = [];
    for (let ticks = 0; ticks < TICKS; ticks++) {
      const { world, model, turn } = await cancelAfter(ticks, end);
      await passTimeUntil(world.run("two"));
      const isLeftOut = JSON.stringify(model.requests[1]?.messages).includes("one") ? "kept" : "left out";
      outcomes.push(`${turn.status}, ${isLeftOut}`);
    }
    // A cancel that comes before the refusal knows of none.
    expect(outcomes.toSorted()).toEqual(outcomes);
    const [first, ...others] = new Set(outcomes);
    expect(first).toBe("cancelled, kept");
    expect(others).toEqual(["cancelled, left out", expect.stringMatching(/^(failed|refused), left out$/)]);
  },
);

test("[SESSION14] nothing of what the model says in the moment of a deletion is sent after it", async () => {
  for (let ticks = 0; ticks < TICKS; ticks++) {
    const world = new SessionWorld({ model: new HandModel([answer([text("Half and whole", 2), text("More", 2)])]) });
    world.submit("one");
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    const stopped = world.session.stop();
    // A deletion is told of here, which sends what waits to be sent.
    world.session.log.cursor();
    const before = world.sent.length;
    await passTimeUntil(stopped);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.sent.slice(before)).toEqual([]);
  }
});
