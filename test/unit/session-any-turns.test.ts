import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { event as eventSchema } from "../../src/protocol/events.ts";
import { answer, fails, HandModel, type Reply } from "../support/hand-model.ts";
import { LogFollower } from "../support/log-follower.ts";
import { type BlockSpec, redactedThinking, text, thinking, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { requestFaults } from "../support/request-faults.ts";
import { SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** What comes over the world while the model speaks: the process dies, someone cancels, or a client changes a file. */
type Incident = "kill" | "cancel" | "put" | "none";

const anyBlock: fc.Arbitrary<BlockSpec> = fc.oneof(
  fc.constantFrom("", " ", "One. ", "Two. \u{1f642}").map((value) => text(value, 3)),
  fc.constant(thinking("Hm, hm", "c2ln", 2)),
  fc.constant(redactedThinking("b3BhcXVl")),
  fc.uuid().map((id) => toolUse(id, "list", {})),
  fc.uuid().map((id) => toolUse(id, "no_such_tool", {})),
  fc.uuid().map((id) => toolUse(id, "write", { path: "a.txt", content: "x", mode: "append" }, 9)),
);
const anyStop = fc.constantFrom(
  undefined,
  undefined,
  "end_turn",
  "max_tokens",
  "pause_turn",
  "refusal",
  "model_context_window_exceeded",
);
const anyMessage = fc
  .tuple(fc.array(anyBlock, { maxLength: 4 }), anyStop)
  .map(([blocks, stopReason]) => answer(blocks, stopReason === undefined ? {} : { stopReason }));
const anyFailure = fc.constantFrom(
  fails("overloaded_error", { status: 529 }),
  fails("invalid_request_error", { status: 400 }),
  fails("authentication_error", { status: 401 }),
);
const incident = fc.record({
  at: fc.nat(20),
  what: fc.constantFrom<Incident>("kill", "kill", "cancel", "put", "none"),
});
const anyReply = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple<Played>(anyMessage, fc.option(incident), fc.option(fc.nat(20), { freq: 4 })),
  },
  { weight: 1, arbitrary: fc.tuple<Played>(anyFailure, fc.constant(null), fc.constant(null)) },
);

type Played = [reply: Reply, happens: { at: number; what: Incident } | null, cut: number | null];

/** A session with a client that is cut off at each death, takes what it missed, and follows on. */
class Scene {
  readonly world: SessionWorld;
  readonly model: HandModel;
  readonly follower = new LogFollower("0", 0);
  #taken = 0;

  constructor(replies: Played[]) {
    const scripted = replies.map(([reply, happens, cut]): Reply => {
      if (typeof reply === "function") return reply;
      const events = cut === null ? reply : reply.slice(0, cut);
      const meet = (what: Incident | undefined) => this.#meet(what);
      return async function* () {
        for (const [i, one] of events.entries()) {
          yield one;
          if (i === happens?.at) meet(happens.what);
        }
        if (happens !== null && happens.at >= events.length) meet(happens.what);
      };
    });
    this.model = new HandModel(scripted, { main: "adaptive" });
    this.world = new SessionWorld({ model: this.model, settings: { max_iterations: 4, fast_model: "quick" } });
  }

  #meet(what: Incident | undefined): void {
    if (what === "cancel") void this.world.session.cancel();
    if (what === "put") this.world.put("a.txt", "theirs");
    if (what !== "kill") return;
    this.receive();
    this.world.start();
    for (const { json } of this.world.session.log.replay(this.follower.position)) {
      this.follower.take(eventSchema.parse(JSON.parse(json)));
    }
    this.#taken = this.world.sent.length;
  }

  receive(): void {
    for (const event of this.world.sent.slice(this.#taken)) this.follower.take(event);
    this.#taken = this.world.sent.length;
  }
}

test("[TURN1] [TURN21] [TOOL2] [MODEL2] [MODEL4] [BLOCK8] [LOG4] whatever models, clients and deaths do, the log is whole and every request is one that the API takes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyReply, { maxLength: 14 }), async (replies) => {
      const scene = new Scene(replies);
      const { world, model, follower } = scene;
      const inputs = ["one", "two", "three", "four"];
      const turnIds = inputs.map((input) => world.submit(input));
      for (const turnId of turnIds) await passTimeUntil(world.ended(turnId));

      expect(model.requests.flatMap(({ messages }) => requestFaults(messages))).toEqual([]);
      const log = world.log();
      expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
      expect(log.flatMap(({ type, turn_id }) => (type === "ITERATION_END" ? [turn_id] : []))).toEqual(turnIds);
      for (const turnId of turnIds) {
        expect(log.findLast(({ turn_id }) => turn_id === turnId)?.type).toBe("ITERATION_END");
      }
      const calls = world.events("TOOL_CALL").map(({ data }) => data.id);
      expect(world.events("TOOL_RESULT").map(({ data }) => data.tool_use_id)).toEqual(calls);

      const named = log.flatMap(({ data }) => ("discard" in data ? (data.discard ?? []) : []));
      const dropped = log.flatMap(({ seq, data }) => ("discarded" in data ? [seq] : []));
      expect(named.toSorted((a, b) => a - b)).toEqual(dropped);
      const open = log.flatMap(({ seq, data }) => ("done" in data && !data.done ? [seq] : []));
      expect(open).toEqual([]);
      scene.receive();
      const whole = new LogFollower("0", 0);
      for (const event of log) whole.take(event);
      expect([...follower.entries]).toEqual([...whole.entries]);
    }),
    { numRuns: 150 },
  );
}, 60_000);
