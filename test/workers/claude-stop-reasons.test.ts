import { describe, expect, it } from "vitest";
import { type BlockSpec, block, message, type Reply, text, thinking, toolUse } from "../support/messages-script.ts";
import { assistant, blockOf, createClaudeScene, dataOf, endOf, outline, results, user } from "./claude-scene.ts";
import { ADMIN, unwrap } from "./session-scene.ts";

const HELLO = message([text("Hello.")]);
const WRITE = toolUse("toolu_write", "write", { path: "work_products/a.txt", content: "A" });
const LIST = toolUse("toolu_list", "list", {});
/** A call whose input was cut off. */
const CUT_OFF: BlockSpec = {
  start: { type: "tool_use", id: "toolu_cut", name: "write", input: {} },
  deltas: [{ type: "input_json_delta", partial_json: '{"path": "a.txt", "con' }],
};
const USAGE = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 };

async function files(scene: { stub: Awaited<ReturnType<typeof createClaudeScene>>["stub"] }): Promise<string[]> {
  const page = unwrap(await scene.stub.files(ADMIN, { prefix: "", limit: 10, cursor: null }));
  return page.files.map(({ path }) => path);
}

describe("a message that ends with", () => {
  it.each(["end_turn", "stop_sequence", "max_tokens", "a_reason_yet_to_come"])(
    "[MODEL12] [MODEL14] [EVENT17] %s in text completes the turn",
    async (stopReason) => {
      const scene = await createClaudeScene([message([text("So far")], { stopReason, usage: USAGE }), HELLO]);
      expect(await scene.run("Speak")).toMatchObject({ status: "complete", response_text: "So far" });
      expect(endOf(await scene.log())).toMatchObject({
        status: "complete",
        stop_reason: stopReason,
        stop_details: null,
        tool_calls: 0,
        usage: USAGE,
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
      await scene.run("Go on");
      expect((await scene.claude.request(1)).messages).toEqual([
        user("Speak"),
        assistant({ type: "text", text: "So far" }),
        user("Go on"),
      ]);
    },
  );

  it("[MODEL13] [TURN12] tool_use runs the calls and calls the model again; usage is summed", async () => {
    const scene = await createClaudeScene([
      message([WRITE], { usage: USAGE }),
      message([text("Done.")], { usage: USAGE }),
    ]);
    const usage = { input_tokens: 2, output_tokens: 4, cache_read_input_tokens: 6, cache_creation_input_tokens: 8 };
    expect(await scene.run("Write")).toMatchObject({
      status: "complete",
      tool_calls: 1,
      work_products: ["work_products/a.txt"],
      usage,
    });
    expect(endOf(await scene.log())).toMatchObject({ stop_reason: "end_turn", tool_calls: 1, usage });
  });

  it("[MODEL14] [MODEL30] max_tokens in the middle of thinking leaves out the thinking that has no signature", async () => {
    const unsigned: BlockSpec = {
      start: { type: "thinking", thinking: "", signature: "" },
      deltas: [{ type: "thinking_delta", thinking: "Hm, let me" }],
    };
    const said = [thinking("First", "c2ln"), text("So.")];
    const scene = await createClaudeScene([message([...said, unsigned], { stopReason: "max_tokens" }), HELLO]);
    expect(await scene.run("Think")).toMatchObject({ status: "complete" });
    expect(dataOf(await scene.log(), "THINKING")).toMatchObject([{ thinking: "First" }, { thinking: "Hm, let me" }]);
    await scene.run("Go on");
    expect((await scene.claude.request(1)).messages).toEqual([
      user("Think"),
      assistant(...said.map(blockOf)),
      user("Go on"),
    ]);
  });

  it("[MODEL15] max_tokens inside a tool call runs nothing and asks once more, for more", async () => {
    const cutOff = message([text("I write."), WRITE, CUT_OFF], { stopReason: "max_tokens", usage: USAGE });
    const scene = await createClaudeScene([cutOff, message([LIST], { usage: USAGE }), message([text("Empty.")])]);
    expect(await scene.run("Write")).toMatchObject({ status: "complete", response_text: "Empty.", tool_calls: 1 });
    const [first, second, third] = await Promise.all([0, 1, 2].map((number) => scene.claude.request(number)));
    expect(first?.["max_tokens"]).toBe(32_000);
    expect(second).toEqual({ ...first, max_tokens: 128_000 });
    expect(third?.messages.at(-1)?.content).toMatchObject([{ tool_use_id: "toolu_list", content: expect.any(String) }]);
    const log = await scene.log();
    expect(outline(log).slice(2)).toEqual([
      "processing",
      "TEXT discarded",
      "retrying",
      "TOOL_CALL toolu_list",
      "TOOL_RESULT toolu_list",
      "TEXT",
      "ITERATION_END complete",
    ]);
    expect(dataOf(log, "STATUS")[1]).toEqual({
      status: "retrying",
      attempt: 2,
      code: "max_tokens",
      delay_seconds: 0,
      discard: [4],
    });
    expect(await files(scene)).toEqual([]);
  });

  it("[MODEL15] max_tokens inside a tool call twice fails the turn", async () => {
    const cutOff = message([text("I write."), CUT_OFF], { stopReason: "max_tokens" });
    const scene = await createClaudeScene([cutOff, cutOff, HELLO]);
    expect(await scene.run("Write")).toMatchObject({ status: "failed", response_text: "", tool_calls: 0 });
    const log = await scene.log();
    expect(outline(log).slice(3)).toEqual([
      "TEXT discarded",
      "retrying",
      "TEXT discarded",
      "ERROR",
      "ITERATION_END failed",
    ]);
    expect(dataOf(log, "ERROR")).toMatchObject([{ code: "max_tokens", retryable: false, discard: [6] }]);
    expect(endOf(log)).toMatchObject({ status: "failed", stop_reason: "max_tokens" });
    await scene.run("Again");
    expect((await scene.claude.request(2)).messages).toEqual([
      results(...user("Write").content, ...user("Again").content),
    ]);
  });

  it("[MODEL16] pause_turn is sent again with the assistant message last, and goes on in it", async () => {
    const search = block({ type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } });
    const found = block({ type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] });
    const thought = thinking("Hm", "c2ln");
    const scene = await createClaudeScene([
      message([thought, search], { stopReason: "pause_turn", usage: USAGE }),
      message([found, text("Found.")], { usage: USAGE }),
      HELLO,
    ]);
    expect(await scene.run("Search")).toMatchObject({
      status: "complete",
      response_text: "Found.",
      usage: { input_tokens: 2 },
    });
    expect((await scene.claude.request(1)).messages).toEqual([
      user("Search"),
      assistant(blockOf(thought), blockOf(search)),
    ]);
    await scene.run("Go on");
    expect((await scene.claude.request(2)).messages).toEqual([
      user("Search"),
      assistant(blockOf(thought), blockOf(search), blockOf(found), { type: "text", text: "Found." }),
      user("Go on"),
    ]);
    expect(outline(await scene.log()).slice(3, 7)).toEqual([
      "THINKING",
      "TOOL_CALL srvtoolu_1",
      "TEXT",
      "ITERATION_END complete",
    ]);
  });

  it("[MODEL16] [TURN10] pause_turn for ever ends at the limit of model calls", async () => {
    const paused = message([text("Wait.")], { stopReason: "pause_turn" });
    const scene = await createClaudeScene([paused, paused, paused, HELLO], { max_iterations: 3 });
    expect(await scene.run("Search")).toMatchObject({ status: "max_iterations", response_text: "Wait.Wait.Wait." });
    expect(endOf(await scene.log())).toMatchObject({ stop_reason: "pause_turn" });
  });

  it("[MODEL17] refusal runs nothing, keeps its details, and leaves the exchange out of later requests", async () => {
    const stopDetails = { type: "refusal", category: "cyber", explanation: "I will not." };
    const refused: Reply = message([thinking("Hm", "c2ln"), text("I"), WRITE, CUT_OFF], {
      stopReason: "refusal",
      stopDetails,
      usage: USAGE,
    });
    const scene = await createClaudeScene([HELLO, message([LIST]), refused, HELLO]);
    await scene.run("First");
    expect(await scene.run("Bad")).toMatchObject({ status: "refused", response_text: "I", tool_calls: 1 });
    const log = await scene.log();
    expect(endOf(log)).toMatchObject({
      status: "refused",
      stop_reason: "refusal",
      stop_details: stopDetails,
      tool_calls: 1,
      usage: { input_tokens: 11, output_tokens: 7 },
    });
    expect(outline(log).slice(-5)).toEqual([
      "TOOL_CALL toolu_list",
      "TOOL_RESULT toolu_list",
      "THINKING",
      "TEXT",
      "ITERATION_END refused",
    ]);
    expect(await files(scene)).toEqual([]);
    await scene.run("Last");
    expect((await scene.claude.request(3)).messages).toEqual([
      user("First"),
      assistant({ type: "text", text: "Hello." }),
      user("Last"),
    ]);
  });
});

describe("a model whose window is full", () => {
  const FULL = message([text("So")], { stopReason: "model_context_window_exceeded" });
  const content = "Many words. ".repeat(100);
  const calls = [
    toolUse("zero", "write", { path: "a.txt", content }),
    ...["one", "two", "three"].map((id) => toolUse(id, "read", { path: "a.txt" })),
  ];

  it("[MODEL18] is asked once more with older results left out", async () => {
    const scene = await createClaudeScene([...calls.map((call) => message([call])), FULL, HELLO]);
    expect(await scene.run("Look")).toMatchObject({ status: "complete", response_text: "Hello." });
    const [full, less] = await Promise.all([4, 5].map((number) => scene.claude.request(number)));
    const cleared = less?.messages.flatMap(({ content }, i) =>
      JSON.stringify(content) === JSON.stringify(full?.messages[i]?.content) ? [] : [content],
    );
    expect(cleared).toEqual([
      ...["zero", "one"].map((id) => [
        { type: "tool_result", tool_use_id: id, content: expect.stringContaining("cleared") },
      ]),
    ]);
    expect(less).toEqual({ ...full, messages: expect.any(Array) });
    const log = await scene.log();
    expect(dataOf(log, "STATUS")[1]).toMatchObject({
      attempt: 2,
      code: "model_context_window_exceeded",
      delay_seconds: 0,
      discard: [expect.any(Number)],
    });
    expect(dataOf(log, "TEXT").map((data) => data.text)).toEqual(["", "Hello."]);
  });

  it("[MODEL18] fails the turn when that does not help", async () => {
    const scene = await createClaudeScene([...calls.map((call) => message([call])), FULL, FULL]);
    expect(await scene.run("Look")).toMatchObject({ status: "failed", tool_calls: 4 });
    const log = await scene.log();
    expect(dataOf(log, "ERROR")).toMatchObject([{ code: "model_context_window_exceeded", retryable: false }]);
    expect(endOf(log)).toMatchObject({ stop_reason: "model_context_window_exceeded" });
  });

  it("[MODEL18] fails the turn at once where nothing can be left out", async () => {
    const scene = await createClaudeScene([FULL, HELLO]);
    expect(await scene.run("Look")).toMatchObject({ status: "failed", response_text: "" });
    const log = await scene.log();
    expect(outline(log).slice(3)).toEqual(["TEXT discarded", "ERROR", "ITERATION_END failed"]);
    expect(await scene.claude.requests()).toHaveLength(1);
  });
});
