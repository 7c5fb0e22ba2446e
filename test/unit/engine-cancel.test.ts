import { afterEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import type { Tool } from "../../src/engine/ports.ts";
import type { Event } from "../../src/protocol/events.ts";
import { Gate } from "../support/gate.ts";
import { answer, fails, HandModel, type Reply } from "../support/hand-model.ts";
import { redactedThinking, text, thinking, toolUse } from "../support/messages-script.ts";
import { SessionWorld, type WorldOptions } from "../support/session-world.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A stream that stops after so many events until it is aborted, and then tries to go on. */
function held(events: unknown[], after: number): { reply: Reply; gate: Gate; aborted: () => boolean } {
  const gate = new Gate();
  let aborted = false;
  return {
    gate,
    aborted: () => aborted,
    reply: async function* (_, { signal }) {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      yield* events.slice(0, after);
      await gate.pass();
      yield* events.slice(after);
    },
  };
}

const NEXT = answer([text("Next.")]);

/** Cancels a turn once `ready` holds, takes another turn, and gives what the model was then asked. */
async function cancelWhen(
  replies: Reply[],
  ready: (world: SessionWorld) => Promise<unknown>,
  options: Partial<WorldOptions> = {},
) {
  const model = new HandModel([...replies, NEXT]);
  const world = new SessionWorld({ ...options, model });
  const turnId = world.submit("go");
  await ready(world);
  expect(await world.session.cancel()).toEqual({ turn_id: turnId });
  expect(world.session.turn(turnId).status).toBe("cancelled");
  const events = world.log();
  const { status } = await world.run("next");
  expect(status).toBe("complete");
  const messages = model.requests.at(-1)?.messages ?? [];
  return { world, turn: world.session.turn(turnId), events, messages };
}

const user = (...texts: string[]) => ({ role: "user", content: texts.map((value) => ({ type: "text", text: value })) });
const typesOf = (events: Event[]) => events.map(({ type }) => type);
const BEGIN = ["SESSION_INFO", "USER_INPUT", "STATUS"];

describe("a cancel while the model", () => {
  test("[TURN18] [MODEL26] speaks keeps what it said", async () => {
    const { reply, gate, aborted } = held(answer([text("Half a sentence", 4)]), 4);
    const { turn, events, messages, world } = await cancelWhen([reply], () => gate.reached);
    expect(aborted()).toBe(true);
    gate.open();
    expect(typesOf(events)).toEqual([...BEGIN, "TEXT", "ITERATION_END"]);
    expect(events.at(3)?.data).toEqual({ text: "Half a s", offset: 0, done: true });
    expect(turn).toMatchObject({ response_text: "Half a s", usage: { input_tokens: 10, output_tokens: 3 } });
    expect(messages[1]).toEqual({ role: "assistant", content: [{ type: "text", text: "Half a s" }] });
    // Live too the block has ended, and before its turn has.
    const sent = world.sent.filter(({ turn_id }) => turn_id === turn.turn_id).slice(-2);
    expect(sent).toMatchObject([{ type: "TEXT", data: { done: true } }, { type: "ITERATION_END" }]);
  });

  test("[TURN18] has not begun to speak leaves nothing but the question", async () => {
    const { reply, gate } = held(answer([text("Hi")]), 0);
    const { events, messages } = await cancelWhen([reply], () => gate.reached);
    expect(typesOf(events)).toEqual([...BEGIN, "ITERATION_END"]);
    expect(messages).toEqual([user("go", "next")]);
  });

  test("[TURN18] [MODEL30] thinks drops thinking without its signature", async () => {
    const { reply, gate } = held(answer([text("First."), thinking("Half a thought", "c2ln", 4)]), 7);
    const { messages } = await cancelWhen([reply], () => gate.reached);
    expect(messages[1]?.content).toEqual([{ type: "text", text: "First." }]);
  });

  test("[TURN18] [MODEL31] has thought and says nothing more leaves a request that the API takes", async () => {
    const { reply, gate } = held(answer([thinking("A thought", "c2ln"), redactedThinking("b3BhcXVl"), text("x")]), 7);
    const { messages } = await cancelWhen([reply], () => gate.reached);
    expect(messages).toEqual([user("go", "next")]);
  });

  test("[TURN18] writes a tool call drops it, and whole ones before it too", async () => {
    const whole = toolUse("1", "list", {});
    const half = toolUse("2", "write", { path: "a.txt", content: "long" }, 4);
    const { reply, gate } = held(answer([text("I will."), whole, half]), 9);
    const { turn, events, messages, world } = await cancelWhen([reply], () => gate.reached);
    expect(typesOf(events)).toEqual([...BEGIN, "TEXT", "ITERATION_END"]);
    expect(turn.tool_calls).toBe(0);
    expect(messages[1]?.content).toEqual([{ type: "text", text: "I will." }]);
    expect(world.paths()).toEqual([]);
  });

  test("[TURN18] [MODEL5] is to be called again does not wait", async () => {
    const retrying = (world: SessionWorld) =>
      world.until(({ type, data }) => type === "STATUS" && "status" in data && data.status === "retrying");
    const failed = fails("rate_limit_error", { status: 429, retryAfterMs: 600_000 });
    const { events, messages } = await cancelWhen([failed], retrying);
    expect(typesOf(events)).toEqual([...BEGIN, "STATUS", "ITERATION_END"]);
    expect(messages).toEqual([user("go", "next")]);
  });
});

describe("a cancel while tools run", () => {
  /** Tools that wait, and heed their signal or not. */
  function waiting() {
    const gates = { heeds: new Gate(), ignores: new Gate() };
    const ends: string[] = [];
    const tool = (name: "heeds" | "ignores", readOnly: boolean): Tool => ({
      name,
      description: "",
      input: z.looseObject({}),
      readOnly,
      retry: "safe",
      run: async (_, { signal, workspace }) => {
        const aborted = Promise.withResolvers<void>();
        if (name === "heeds") signal.addEventListener("abort", () => aborted.resolve());
        await Promise.race([gates[name].pass(), aborted.promise]);
        if (name === "heeds") signal.throwIfAborted();
        workspace.write(`${name}.txt`, new Uint8Array());
        ends.push(name);
        return "ended";
      },
    });
    return { gates, ends, tools: [tool("heeds", true), tool("ignores", true)] };
  }

  test("[TURN18] [TOOL2] gives every open call a result, and what a tool does later has no effect", async () => {
    const { gates, ends, tools } = waiting();
    const calls = ["list", "heeds", "ignores", "write"].map((name, i) => toolUse(`${i}`, name, {}));
    const reached = (scene: SessionWorld) =>
      Promise.all([gates.heeds.reached, gates.ignores.reached, scene.until(({ type }) => type === "TOOL_RESULT")]);
    const { turn, messages, world } = await cancelWhen([answer([text("Go."), ...calls])], reached, { tools });
    gates.ignores.open();
    await new Promise(setImmediate);
    expect(ends).toEqual(["ignores"]);
    const results = world.events("TOOL_RESULT").map(({ data }) => [data.tool_use_id, data.is_error]);
    expect(results).toEqual([
      ["0", false],
      ["1", true],
      ["2", true],
      ["3", true],
    ]);
    expect(messages[2]?.content.map((block) => block["tool_use_id"] ?? block["text"])).toEqual([
      "0",
      "1",
      "2",
      "3",
      "next",
    ]);
    expect(turn).toMatchObject({ tool_calls: 4, response_text: "Go." });
    expect(world.paths()).toEqual([]);
  });

  test("[TURN18] [TOOL5] while a file is uploaded leaves no file and no bytes", async () => {
    const gate = new Gate();
    const call = toolUse("1", "write", { path: "a.txt", content: "a" });
    const options = { beforeUpload: () => gate.pass() };
    const { world } = await cancelWhen([answer([call])], () => gate.reached, options);
    expect(world.paths()).toEqual([]);
    gate.open();
    await new Promise(setImmediate);
    expect(world.blobs.size).toBe(0);
    expect(world.events("TOOL_RESULT")).toMatchObject([{ data: { is_error: true } }]);
    // Were the process to die before the bytes are gone, clean-up would still know of them.
    expect(world.sql.exec("SELECT * FROM stages")).toHaveLength(1);
  });
});

describe("a cancel", () => {
  test("[REST15] of a session where nothing runs says so", async () => {
    const world = new SessionWorld({ model: new HandModel([NEXT]) });
    expect(await world.session.cancel()).toEqual({ turn_id: null });
    await world.run("go");
    expect(await world.session.cancel()).toEqual({ turn_id: null });
    expect(world.events("ITERATION_END")).toHaveLength(1);
  });

  test("[REST15] leaves turns that wait, and the next one starts", async () => {
    const { reply, gate } = held(answer([text("x")]), 0);
    const world = new SessionWorld({ model: new HandModel([reply, NEXT]) });
    const first = world.submit("one");
    const second = world.submit("two");
    await gate.reached;
    const [a, b] = await Promise.all([world.session.cancel(), world.session.cancel()]);
    expect([a, b]).toEqual([{ turn_id: first }, { turn_id: first }]);
    expect(world.session.turn(first).status).toBe("cancelled");
    expect((await world.ended(second)).status).toBe("complete");
    expect(world.events("ITERATION_END").map(({ data }) => data.status)).toEqual(["cancelled", "complete"]);
  });

  test("[TURN18] that was stored holds after a crash", async () => {
    const { reply, gate } = held(answer([text("Half", 1)]), 4);
    const model = new HandModel([reply]);
    const world = new SessionWorld({ model });
    const turnId = world.submit("go");
    await gate.reached;
    // The cancel is stored at once; the process dies before anything is stopped.
    vi.spyOn(console, "error").mockImplementation(() => {});
    void world.session.cancel();
    world.start();
    const { status } = await world.ended(turnId);
    expect(status).toBe("cancelled");
    expect(model.requests).toHaveLength(1);
    const [block] = world.events("TEXT");
    expect(block?.data.discarded).toBe(true);
    expect(world.events("STATUS").at(-1)?.data).toEqual({ status: "resumed", discard: [block?.seq] });
  });
});
