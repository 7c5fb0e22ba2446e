import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import type { Tool } from "../../src/engine/ports.ts";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { Session } from "../../src/session/session.ts";
import { Gate } from "../support/gate.ts";
import { answer, fails, HandModel, type Reply } from "../support/hand-model.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A tool that waits at a new gate each time it runs. */
function gatedTool(name: string, options: Partial<Tool> = {}) {
  const gates = Array.from({ length: 6 }, () => new Gate());
  let runs = 0;
  const tool: Tool = {
    name,
    description: "",
    input: z.looseObject({}),
    readOnly: false,
    retry: "safe",
    run: async () => {
      await gates[runs++]?.pass();
      return "ended";
    },
    ...options,
  };
  const gate = (run: number) => gates[run] ?? new Gate();
  return { tool, gate, runs: () => runs };
}

/** A reply that says half of what it has to say, and then nothing more. */
const stuck = (gate: Gate): Reply =>
  async function* () {
    yield* answer([text("Half", 2)]).slice(0, 3);
    await gate.pass();
  };

const resultsOf = (world: SessionWorld) => world.events("TOOL_RESULT").map(({ data }) => data);
const resumesOf = (world: SessionWorld) =>
  world.events("STATUS").flatMap(({ data }) => (data.status === "resumed" ? [data.discard] : []));
const DONE = answer([text("Done.")]);

describe("a call that was under way", () => {
  test.for<[what: string, options: Partial<Tool>, runs: number]>([
    ["and is safe", {}, 2],
    ["and is unsafe", { retry: "unsafe" }, 1],
    ["and is unsafe with this input", { retry: () => "unsafe" }, 1],
    ["and changes nothing", { readOnly: true, retry: "unsafe" }, 2],
  ])("[TOOL14] %s", async ([, options, runs]) => {
    const call = gatedTool("slow", options);
    const calls = ["1", "2"].map((id) => toolUse(id, "slow", {}));
    const world = new SessionWorld({ model: new HandModel([answer(calls.slice(0, 1)), DONE]), tools: [call.tool] });
    const turnId = world.submit("go");
    await call.gate(0).reached;
    world.start();
    call.gate(0).open();
    call.gate(1).open();
    expect((await world.ended(turnId)).status).toBe("complete");
    expect(call.runs()).toBe(runs);
    const content_preview = expect.stringContaining(runs === 1 ? "may or may not" : "ended");
    expect(resultsOf(world)).toMatchObject([{ is_error: runs === 1, content_preview }]);
    expect(resumesOf(world)).toEqual([[]]);
  });

  test("[TURN20] is given up at the third start without progress, and the turn goes on", async () => {
    const call = gatedTool("slow", { readOnly: true });
    const calls = ["1", "2"].map((id) => toolUse(id, "slow", {}));
    const world = new SessionWorld({ model: new HandModel([answer(calls), DONE]), tools: [call.tool] });
    const turnId = world.submit("go");
    for (let start = 0; start < 3; start++) {
      await call.gate(start * 2 + 1).reached;
      world.start();
    }
    expect(await world.ended(turnId)).toMatchObject({ status: "complete", tool_calls: 2 });
    expect(call.runs()).toBe(6);
    expect(resultsOf(world).map(({ is_error }) => is_error)).toEqual([true, true]);
    expect(resumesOf(world)).toHaveLength(3);
  });
});

describe("a turn", () => {
  test("[TURN20] fails at the third start without progress where no call is open", async () => {
    const gates = Array.from({ length: 3 }, () => new Gate());
    const world = new SessionWorld({ model: new HandModel(gates.map(stuck)) });
    const turnId = world.submit("go");
    for (const gate of gates) {
      await gate.reached;
      world.start();
    }
    expect(await world.ended(turnId)).toMatchObject({ status: "failed", response_text: "" });
    expect(world.events("ERROR")).toMatchObject([{ data: { code: "interrupted", retryable: true } }]);
    const blocks = world.events("TEXT");
    expect(blocks.every(({ data }) => data.discarded)).toBe(true);
    expect(resumesOf(world)).toEqual(blocks.map(({ seq }) => [seq]));
  });

  test("[TURN20] may be interrupted any number of times as long as it gets further", async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    const steps = gates.flatMap((gate, i) => [stuck(gate), answer([toolUse(`${i}`, "list", {})])]);
    const world = new SessionWorld({ model: new HandModel([...steps, DONE]) });
    const turnId = world.submit("go");
    for (const gate of gates) {
      await gate.reached;
      world.start();
    }
    expect(await world.ended(turnId)).toMatchObject({ status: "complete", tool_calls: 5 });
  });

  test("[TURN20] [MODEL5] that waits for its next attempt waits on after a restart, and no longer", async () => {
    vi.useFakeTimers();
    const model = new HandModel([fails("rate_limit_error", { status: 429, retryAfterMs: 60_000 }), DONE]);
    const world = new SessionWorld({ model });
    const began = Date.now();
    const turnId = world.submit("go");
    await vi.advanceTimersByTimeAsync(20_000);
    world.start();
    expect((await passTimeUntil(world.ended(turnId))).status).toBe("complete");
    expect(model.attempts).toEqual([1, 2]);
    expect(Date.now() - began).toBe(60_000);
  });

  test("[TURN20] [BLOCK8] whose loop was lost to a failure of the database is taken up by the heartbeat, and that counts", async () => {
    let broken = false;
    const gates = Array.from({ length: 3 }, () => new Gate());
    const replies = gates.map(
      (gate): Reply =>
        async function* () {
          yield* answer([text("Half", 2)]).slice(0, 3);
          await gate.pass();
          broken = true;
          yield* answer([text("Half", 2)]).slice(3);
        },
    );
    const world = new SessionWorld({
      model: new HandModel(replies),
      beforeStatement: (query) => {
        if (broken && !query.startsWith("SELECT")) throw new Error("the disk is full");
      },
    });
    const turnId = world.submit("go");
    for (const gate of gates) {
      await gate.reached;
      gate.open();
      await new Promise(setImmediate);
      expect(world.session.describe().status).toBe("running");
      broken = false;
      world.session.resume();
      // A loop that lives is left alone.
      world.session.resume();
    }
    expect((await world.ended(turnId)).status).toBe("failed");
    expect(world.events("ERROR")).toMatchObject([{ data: { code: "interrupted" } }]);
    expect(resumesOf(world)).toEqual(world.events("TEXT").map(({ seq }) => [seq]));
  });

  test("[ERR4] [MODEL7] fails at once for a fault of the gateway's own, which no other answer of the model would mend", async () => {
    let broken = true;
    const model = new HandModel([DONE, answer([text("Now it works.")])]);
    const world = new SessionWorld({
      model,
      beforeStatement: (query) => {
        if (broken && query.startsWith("INSERT INTO messages") && query.includes("'assistant'"))
          throw new Error("secret detail");
      },
    });
    const failed = await world.run("go");
    broken = false;
    expect(failed).toMatchObject({ status: "failed", response_text: "" });
    const [block] = world.events("TEXT");
    expect(world.events("ERROR")).toMatchObject([
      { data: { code: "internal", retryable: false, discard: [block?.seq] } },
    ]);
    expect(JSON.stringify(world.log())).not.toContain("secret");
    expect(await world.run("again")).toMatchObject({ status: "complete", response_text: "Now it works." });
  });

  test("[TURN8] keeps the models and the system prompt that it started with", async () => {
    const gate = new Gate();
    const model = new HandModel([
      async function* () {
        await gate.pass();
        yield* answer([toolUse("1", "list", {})]);
      },
      DONE,
      DONE,
    ]);
    const world = new SessionWorld({ model, settings: { system: "Before." } });
    const turnId = world.submit("go");
    await gate.reached;
    world.session.patch(ALICE, { model: "other", fast_model: "quick", system: "After." });
    world.start();
    gate.open();
    await world.ended(turnId);
    await world.run("more");
    const asked = model.requests.map((request) => [request.model, request.system?.split("\n").at(-1)]);
    expect(asked).toEqual([
      ["main", "Before."],
      ["main", "Before."],
      ["quick", "After."],
    ]);
  });
});

describe("a session", () => {
  test("[LOG6] that nothing happens in writes nothing when it is opened again", async () => {
    const statements: string[] = [];
    const world = new SessionWorld({
      model: new HandModel([DONE]),
      beforeStatement: (query) => statements.push(query),
    });
    await world.run("go");
    await world.session.index.flush();
    const before = world.log();
    statements.length = 0;
    world.start();
    await world.session.index.flush();
    expect(statements.filter((query) => !query.startsWith("SELECT"))).toEqual([]);
    expect(world.log()).toEqual(before);
    // One from its creation, one from its turn.
    expect(world.wakes).toHaveLength(2);
  });

  test("[SESSION13] that is not there is not opened, and looking for it writes nothing", () => {
    const world = new SessionWorld({ model: new HandModel([]) });
    const { deps } = world;
    expect(Session.open(deps)).toBeNull();
    expect(world.sql.exec("SELECT * FROM sqlite_master")).toEqual([]);
  });

  test("[TURN20] sets its heartbeat with the turn, and again when it finds one that runs", async () => {
    vi.useFakeTimers();
    const gate = new Gate();
    const world = new SessionWorld({ model: new HandModel([stuck(gate), DONE]) });
    const began = Date.now();
    const turnId = world.submit("go");
    expect(world.wakes.at(-1)).toBe(began + HEARTBEAT_MS);
    await vi.advanceTimersByTimeAsync(5_000);
    world.start();
    expect(world.wakes.at(-1)).toBe(began + 5_000 + HEARTBEAT_MS);
    await passTimeUntil(world.ended(turnId));
  });

  test("[SESSION14] that is stopped commits nothing more", async () => {
    const gate = new Gate();
    const late: Reply = async function* () {
      yield* answer([text("Half", 2)]).slice(0, 3);
      await gate.pass();
      yield* answer([text("Half", 2)]).slice(3);
    };
    const world = new SessionWorld({ model: new HandModel([late]) });
    world.submit("go");
    await gate.reached;
    const before = world.log();
    const stopped = world.session.stop();
    gate.open();
    await stopped;
    world.session.resume();
    expect(world.log()).toEqual(before);
    expect(world.session.describe().status).toBe("running");
  });
});
