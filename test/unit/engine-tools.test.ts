import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { type Tool, ToolError } from "../../src/engine/ports.ts";
import { PREVIEW_MAX_CHARS, TOOL_RESULT_MAX_CHARS } from "../../src/protocol/limits.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel } from "../support/hand-model.ts";
import { type BlockSpec, block, text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { SessionWorld, type WorldOptions } from "../support/session-world.ts";

let logged: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  logged = vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A tool of the test's own. */
function tool(name: string, run: Tool["run"], options: Partial<Tool> = {}): Tool {
  return { name, description: "", input: z.looseObject({}), readOnly: true, retry: "safe", run, ...options };
}

/** A session whose model makes these calls in its first message, and then ends. */
function createWorld(calls: BlockSpec[], options: Omit<WorldOptions, "model"> = {}) {
  const model = new HandModel([answer(calls), answer([text("Done.")]), answer([text("And again.")])]);
  return { model, world: new SessionWorld({ model, ...options }) };
}

const resultsOf = (world: SessionWorld) => world.events("TOOL_RESULT").map(({ data }) => data);
const shapeOf = (world: SessionWorld) =>
  world.log().flatMap(({ type, data }) => {
    if (type === "TOOL_CALL") return [`call ${data.id}`];
    return type === "TOOL_RESULT" ? [`result ${data.tool_use_id}`] : type === "WORK_PRODUCT" ? [data.path] : [];
  });
const write = (id: string, path: string, content = id) => toolUse(id, "write", { path, content });

describe("the calls of a message", () => {
  test("[TOOL4] [MODEL4] that only read run together; one that writes runs alone; results stand in the order of the calls", async () => {
    const trace: string[] = [];
    const gates = new Map(["a", "b", "w", "c"].map((id) => [id, new Gate()]));
    const gate = (id: unknown) => gates.get(String(id)) ?? new Gate();
    const run: Tool["run"] = async (input) => {
      const { id } = z.object({ id: z.string() }).parse(input);
      trace.push(`${id} begins`);
      await gate(id).pass();
      trace.push(`${id} ends`);
      return id;
    };
    const tools = [tool("look", run), tool("change", run, { readOnly: false })];
    const calls = ["a", "b", "w", "c"].map((id) => toolUse(id, id === "w" ? "change" : "look", { id }));
    const { world, model } = createWorld(calls, { tools });
    const turnId = world.submit("go");
    await Promise.all([gate("a").reached, gate("b").reached]);
    gate("c").open();
    gate("w").open();
    gate("b").open();
    gate("a").open();
    await world.ended(turnId);
    expect(trace.slice(0, 2)).toEqual(["a begins", "b begins"]);
    expect(trace.slice(4)).toEqual(["w begins", "w ends", "c begins", "c ends"]);
    expect(resultsOf(world).map(({ tool_use_id }) => tool_use_id)).toEqual(["a", "b", "w", "c"]);
    const sent = model.requests[1]?.messages[2]?.content;
    expect(sent).toEqual(["a", "b", "w", "c"].map((id) => ({ type: "tool_result", tool_use_id: id, content: id })));
  });

  test("[TOOL5] [TOOL15] show what they changed after their results, each with its own", async () => {
    const { world } = createWorld([
      write("1", "work_products/ü b.txt"),
      write("2", "notes.txt"),
      write("3", "work_products/c"),
    ]);
    await world.run("go");
    const path = "work_products/ü b.txt";
    expect(shapeOf(world).slice(3)).toEqual(["result 1", path, "result 2", "result 3", "work_products/c"]);
    const [made] = world.events("WORK_PRODUCT");
    const url = `/api/v1/sessions/${world.session.settings.session_id}/files/work_products/%C3%BC%20b.txt`;
    expect(made?.data).toMatchObject({ path, workspace_path: path, url, size: 1 });
    expect(world.file("notes.txt")).toBe("2");
  });

  test("[EVENT12] that the model's server makes are shown as its own, and not run", async () => {
    const search = block({ type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } });
    const { world } = createWorld([search, toolUse("1", "list", {})]);
    expect(await world.run("go")).toMatchObject({ status: "complete", tool_calls: 1 });
    expect(world.events("TOOL_CALL").map(({ data }) => [data.id, data.executor])).toEqual([
      ["s", "model"],
      ["1", "gateway"],
    ]);
    expect(resultsOf(world).map(({ tool_use_id }) => tool_use_id)).toEqual(["1"]);
  });
});

describe("a call that cannot do what it should", () => {
  const secret = tool("secret", async () => {
    throw new Error("the password is hunter2");
  });
  const refuses = tool("refuses", async () => {
    throw new ToolError("Not today.");
  });
  const unreadable = { ...toolUse("1", "list", {}), deltas: [{ type: "input_json_delta", partial_json: '{"a' }] };
  test.for<[what: string, call: BlockSpec, says: string]>([
    ["of no tool", toolUse("1", "nothing", {}), 'There is no tool named "nothing".'],
    ["with input that does not fit", toolUse("1", "read", { path: 1 }), "path:"],
    ["with a field too many", toolUse("1", "list", { deep: true }), "deep"],
    ["with a path that is refused", toolUse("1", "read", { path: "../x" }), "../x"],
    ["with input that is no JSON", unreadable, "not a valid JSON object"],
    ["of a tool that refuses", toolUse("1", "refuses", {}), "Not today."],
    ["of a tool that throws", toolUse("1", "secret", {}), "The tool secret failed: Error."],
  ])("[TOOL3] %s is an error result, and the turn goes on", async ([, call, says]) => {
    const { world, model } = createWorld([call, toolUse("2", "list", {})], { tools: [secret, refuses] });
    expect(await world.run("go")).toMatchObject({ status: "complete", tool_calls: 2 });
    const [first, second] = resultsOf(world);
    expect(first).toMatchObject({ is_error: true, content_preview: expect.stringContaining(says) });
    expect(second).toMatchObject({ is_error: false });
    expect(model.requests[1]?.messages[2]?.content).toMatchObject([{ is_error: true }, { tool_use_id: "2" }]);
    expect(JSON.stringify([world.log(), model.requests])).not.toContain("hunter2");
  });

  test("[TOOL12] in time is an error result that says so, and what it does later has no effect", async () => {
    vi.useFakeTimers();
    const gate = new Gate();
    const heard: AbortSignal[] = [];
    const slow: Tool["run"] = async (_, { workspace, signal }) => {
      heard.push(signal);
      await gate.pass();
      workspace.write("late.txt", new Uint8Array());
      return "late";
    };
    const { world } = createWorld([toolUse("1", "slow", {})], { tools: [tool("slow", slow, { readOnly: false })] });
    expect(await passTimeUntil(world.run("go"))).toMatchObject({ status: "complete" });
    expect(heard.map(({ aborted }) => aborted)).toEqual([true]);
    gate.open();
    await passTimeUntil(world.run("more"));
    const [result] = resultsOf(world);
    expect(result).toMatchObject({ is_error: true, content_preview: expect.stringContaining("120 s") });
    expect(world.paths()).toEqual([]);
  });
});

describe("a file that a client changes while a call is under way", () => {
  async function conflict(options: { meanwhile: string; call: BlockSpec }) {
    const gate = new Gate();
    const { world, model } = createWorld([options.call, toolUse("2", "list", {})], {
      beforeUpload: () => gate.pass(),
    });
    world.put("a.txt", "before");
    const turnId = world.submit("go");
    await gate.reached;
    world.put(options.meanwhile, "theirs");
    gate.open();
    const turn = await world.ended(turnId);
    return { world, model, turn };
  }

  test("[TOOL6] makes it an error result that changes nothing, and leaves no bytes", async () => {
    const call = toolUse("1", "edit", { path: "a.txt", old_string: "before", new_string: "after" });
    const { world, turn } = await conflict({ meanwhile: "a.txt", call });
    expect(resultsOf(world)).toMatchObject([{ is_error: true, content_preview: expect.stringContaining("a.txt") }, {}]);
    expect(turn.status).toBe("complete");
    expect(world.file("a.txt")).toBe("theirs");
    expect(world.blobs.size).toBe(2);
  });

  test("[TOOL6] is no conflict if the call has nothing to do with it", async () => {
    const { world } = await conflict({ meanwhile: "b.txt", call: write("1", "a.txt", "ours") });
    expect(resultsOf(world)).toMatchObject([{ is_error: false }, {}]);
    expect([world.file("a.txt"), world.file("b.txt")]).toEqual(["ours", "theirs"]);
  });

  test("[TOOL6] [FILE12] conflicts too if it stands where a folder must be", async () => {
    const { world } = await conflict({ meanwhile: "work_products", call: write("1", "work_products/a.txt") });
    expect(resultsOf(world)).toMatchObject([{ is_error: true }, {}]);
    expect(world.paths()).toEqual(["a.txt", "work_products"]);
    expect(world.events("WORK_PRODUCT")).toEqual([]);
  });

  test("[TOOL6] ends no turn if the bytes of the call cannot be removed", async () => {
    const gate = new Gate();
    const { world } = createWorld([write("1", "a.txt")], {
      beforeUpload: () => gate.pass(),
      beforeDiscard: () => Promise.reject(new Error("the storage failed")),
    });
    const turnId = world.submit("go");
    await gate.reached;
    world.put("a.txt", "theirs");
    gate.open();
    expect(await world.ended(turnId)).toMatchObject({ status: "complete" });
    expect(logged).toHaveBeenCalled();
  });

  test("[TOOL6] [TURN18] holds no turn up, and no cancel, while the bytes of the call are not removed", async () => {
    const gates = { upload: new Gate(), discard: new Gate() };
    const { world } = createWorld([write("1", "a.txt")], {
      beforeUpload: () => gates.upload.pass(),
      beforeDiscard: () => gates.discard.pass(),
    });
    const turnId = world.submit("go");
    await gates.upload.reached;
    world.put("a.txt", "theirs");
    gates.upload.open();
    await gates.discard.reached;
    expect(await world.ended(turnId)).toMatchObject({ status: "complete" });
    expect(world.blobs.size).toBe(2);
    gates.discard.open();
    await new Promise(setImmediate);
    expect(world.blobs.size).toBe(1);
  });
});

describe("a result", () => {
  const gives = (content: string) => tool("give", async () => content);

  test("[TOOL11] that is too long is cut and says so", async () => {
    const { world, model } = createWorld([toolUse("1", "give", {})], {
      tools: [gives(`a${"\u{1f642}".repeat(200_000)}`)],
    });
    await world.run("go");
    const sent = String(model.requests[1]?.messages[2]?.content[0]?.["content"]);
    expect(sent.length).toBeLessThanOrEqual(TOOL_RESULT_MAX_CHARS);
    expect(sent).toMatch(/400001 characters/);
    expect(sent).not.toContain("\ufffd");
    expect(resultsOf(world)[0]?.content_size).toBe(sent.length);
  });

  test("[EVENT14] is shown in its first characters, none of them half", async () => {
    const whole = `a${"\u{1f642}".repeat(PREVIEW_MAX_CHARS)}`;
    const { world } = createWorld([toolUse("1", "give", {})], { tools: [gives(whole)] });
    await world.run("go");
    const [result] = resultsOf(world);
    expect(result?.content_preview).toBe(whole.slice(0, PREVIEW_MAX_CHARS - 1));
    expect(result?.content_size).toBe(whole.length);
  });

  test("[TOOL3] that is empty says so to the model, which may get no empty text", async () => {
    const { world, model } = createWorld([toolUse("1", "give", {})], { tools: [gives("")] });
    await world.run("go");
    expect(model.requests[1]?.messages[2]?.content[0]?.["content"]).toBe("(no output)");
    expect(resultsOf(world)).toMatchObject([{ content_preview: "", content_size: 0, is_error: false }]);
  });
});
