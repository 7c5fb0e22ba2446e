import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answerToolCalls } from "../../src/client/answer-tool-calls.ts";
import type { RunTool } from "../../src/client/gateway.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { type Event, type NewEvent, NO_USAGE, toTimestamp } from "../../src/protocol/events.ts";
import type { ToolResultBody } from "../../src/protocol/inputs.ts";
import type { PendingInput, Session } from "../../src/protocol/rest.ts";

const TURN = "turn_01JZZZZZZZZZZZZZZZZZZZZZZZ";
const TIME = toTimestamp(0);

/** A session's turn as its gateway has it: what it waits for, and the events that a reader has yet to take. */
class AskedTurn {
  readonly given = new Map<string, ToolResultBody>();
  /** What giving a result comes to first, if not to this. */
  refusal: GatewayError | null = null;
  pending: PendingInput[] = [];
  readonly #events: Event[] = [];
  #seq = 0;
  #changed = Promise.withResolvers<void>();

  /** Events are not taken before they have happened. */
  append(...events: NewEvent[]): void {
    for (const event of events) {
      this.#events.push({ ...event, seq: ++this.#seq, cursor: `${this.#seq}`, turn_id: TURN, timestamp: TIME });
    }
    this.#change();
  }

  /** A call of the client's tool, which must be allowed first or not. */
  call(id: string, { name = "lamp", ask = false } = {}): void {
    this.pending.push(ask ? { input_id: `input of ${id}`, kind: "approval" } : { tool_use_id: id, kind: "tool" });
    this.append({ type: "TOOL_CALL", data: { id, name, input: { id }, executor: "client", time_offset: 0 } });
    if (!ask) return;
    const data = { input_id: `input of ${id}`, kind: "approval", message: "?", tool_use_id: id } as const;
    this.append({ type: "AUTH_REQUIRED", data: { ...data, expires_at: TIME, default: "deny" } });
  }

  settle(id: string, response: "allow" | "deny"): void {
    const input_id = `input of ${id}`;
    this.pending = this.pending.filter((one) => !("input_id" in one && one.input_id === input_id));
    const data = { status: "answered", input_id, response, user_id: null, via: "token" } as const;
    this.append({ type: "STATUS", data });
    if (response === "allow") this.pending.push({ tool_use_id: id, kind: "tool" });
    else this.close(id);
  }

  close(id: string, content = ""): void {
    this.pending = this.pending.filter((one) => !("tool_use_id" in one && one.tool_use_id === id));
    const data = { tool_use_id: id, is_error: false, content_preview: content, content_size: 0 };
    this.append({ type: "TOOL_RESULT", data: { ...data, duration_seconds: 0, time_offset: 0 } });
  }

  end(): void {
    const data = { status: "complete", stop_reason: null, stop_details: null, tool_calls: 0 } as const;
    this.append({ type: "ITERATION_END", data: { ...data, duration_seconds: 0, usage: NO_USAGE, trace_id: "" } });
  }

  isOpen(id: string): boolean {
    return this.pending.some((one) => "tool_use_id" in one && one.tool_use_id === id);
  }

  give(id: string, result: ToolResultBody): void {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) throw refusal;
    if (!this.isOpen(id)) throw new GatewayError("already_answered", "");
    this.given.set(id, result);
    this.close(id, result.content);
  }

  async *events(signal: AbortSignal): AsyncGenerator<Event> {
    signal.addEventListener("abort", () => this.#change());
    for (let at = 0; ; at++) {
      while (this.#events[at] === undefined) {
        signal.throwIfAborted();
        await this.#changed.promise;
      }
      signal.throwIfAborted();
      const event = this.#events[at];
      if (event === undefined) return;
      yield event;
      if (event.type === "ITERATION_END") return;
    }
  }

  answered(tools: Record<string, RunTool>, signal = new AbortController().signal): AsyncGenerator<Event> {
    return answerToolCalls({
      tools,
      signal,
      open: (until) => this.events(until),
      look: async () => ({ ...IDLE, pending_inputs: this.pending }),
      give: async (id, result) => this.give(id, result),
    });
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

const IDLE: Session = {
  session_id: "session_00000000000000000000000000",
  user_id: "",
  title: null,
  status: "waiting",
  workspace_dir: "",
  model: "",
  metadata: {},
  created_at: TIME,
  updated_at: TIME,
  last_seq: 0,
  active_turn: TURN,
  queued_turns: [],
  pending_inputs: [],
};

const collect = (events: AsyncIterable<Event>): Promise<Event[]> => Array.fromAsync(events);
/** Everything that can go on without anything from outside has gone on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

type Fate = { ask: boolean; mine: boolean; comes: "run" | "other" | "deny"; fails: boolean };
const fate: fc.Arbitrary<Fate> = fc.record({
  ask: fc.boolean(),
  mine: fc.boolean(),
  comes: fc.constantFrom("run", "other", "deny"),
  fails: fc.boolean(),
});

describe("the calls of a turn", () => {
  test("[CLIENT1] [CLIENT2] [CLIENT3] [CLIENT6] however they are mixed, each is run once, if it is to be run", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { maxLength: 8 }), fc.infiniteStream(fc.boolean()), async (fates, pauses) => {
        const turn = new AskedTurn();
        const runs: string[] = [];
        const breath = async () => {
          if (pauses.next().value) await settled();
        };
        const lamp: RunTool = async (_, { tool_use_id }) => {
          runs.push(tool_use_id);
          expect(turn.isOpen(tool_use_id)).toBe(true);
          await breath();
          if (fates[Number(tool_use_id)]?.fails === true) throw new Error("broken");
          return `ran ${tool_use_id}`;
        };
        const seen = collect(turn.answered({ lamp }));
        for (const [i, { ask, mine }] of fates.entries()) turn.call(`${i}`, { ask, name: mine ? "lamp" : "bell" });
        for (const [i, { ask, comes }] of fates.entries()) {
          await breath();
          if (ask) turn.settle(`${i}`, comes === "deny" ? "deny" : "allow");
          if (comes === "other" && turn.isOpen(`${i}`)) turn.close(`${i}`);
        }
        await settled();
        await settled();
        await settled();
        turn.end();
        const seqs = (await seen).map(({ seq }) => seq);
        expect(seqs).toEqual(seqs.map((_, at) => at + 1));
        expect(new Set(runs).size).toBe(runs.length);
        for (const [i, { ask, mine, comes, fails }] of fates.entries()) {
          const id = `${i}`;
          const mayRun = mine && !(ask && comes === "deny");
          if (!mayRun) expect(runs).not.toContain(id);
          const result = fails ? { content: "broken", is_error: true } : { content: `ran ${id}` };
          if (turn.given.has(id)) expect(turn.given.get(id)).toEqual(result);
          if (mayRun && comes !== "other") expect(turn.given.has(id)).toBe(true);
        }
      }),
    );
  });

  test("[CLIENT4] [CLIENT1] those of the past that have their results are not run, however often they are seen", async () => {
    const turn = new AskedTurn();
    turn.call("a");
    turn.close("a");
    turn.call("b", { ask: true });
    turn.settle("b", "allow");
    turn.close("b");
    turn.call("c");
    const repeated = async function* (signal: AbortSignal) {
      for await (const event of turn.events(signal)) {
        yield event;
        if (event.type === "TOOL_CALL") yield event;
      }
    };
    const runs: string[] = [];
    const lamp: RunTool = (_, { tool_use_id }) => {
      runs.push(tool_use_id);
      return "lit";
    };
    const answered = answerToolCalls({
      tools: { lamp },
      signal: new AbortController().signal,
      open: repeated,
      look: async () => ({ ...IDLE, pending_inputs: turn.pending }),
      give: async (id, result) => {
        turn.give(id, result);
        turn.end();
      },
    });
    await collect(answered);
    expect(runs).toEqual(["c"]);
  });

  test("[CLIENT3] what no tool is named for is nobody's here, whatever it is called", async () => {
    const turn = new AskedTurn();
    for (const name of ["toString", "constructor", "__proto__"]) turn.call(name, { name });
    const seen = collect(turn.answered({ lamp: () => "lit" }));
    await settled();
    turn.end();
    await seen;
    expect(turn.given.size).toBe(0);
  });

  test("[CLIENT7] a result that cannot be given ends the iteration with the reason, one that came too late does not", async () => {
    for (const code of ["forbidden", "unavailable", "already_answered", "not_found"] as const) {
      const turn = new AskedTurn();
      turn.refusal = new GatewayError(code, "why");
      turn.call("a");
      const seen = collect(turn.answered({ lamp: () => "lit" }));
      if (code === "forbidden" || code === "unavailable") {
        await expect(seen).rejects.toMatchObject({ code, message: "why" });
      } else {
        await settled();
        turn.end();
        expect(await seen).toHaveLength(2);
      }
    }
  });

  test("[CLIENT1] a result that is too large to be sent comes to one that says so", async () => {
    const turn = new AskedTurn();
    turn.refusal = new GatewayError("too_large", "The body is too large.");
    turn.call("a");
    const seen = collect(turn.answered({ lamp: () => "lit" }));
    await settled();
    turn.end();
    await seen;
    expect(turn.given.get("a")).toEqual({ content: expect.stringContaining("too large"), is_error: true });
  });

  test("[CLIENT3] what comes of a run after its caller has left is given to nobody", async () => {
    const turn = new AskedTurn();
    const release = Promise.withResolvers<string>();
    turn.call("a");
    const events = turn.answered({ lamp: () => release.promise });
    await events.next();
    await settled();
    await events.return(undefined);
    release.resolve("lit");
    await settled();
    expect(turn.given.size).toBe(0);
  });
});
