import { describe, expect, it } from "vitest";
import {
  type BlockSpec,
  block,
  event,
  message,
  ping,
  redactedThinking,
  text,
  thinking,
  toolUse,
} from "../support/messages-script.ts";
import {
  assistant,
  blockOf,
  createClaudeScene,
  dataOf,
  newModelName,
  outline,
  results,
  scriptClaude,
  user,
} from "./claude-scene.ts";
import { ADMIN, unwrap } from "./session-scene.ts";

const THOUGHT = thinking("Two things to read: 🤔", "c2lnbmF0dXJl", 3);
const REDACTED = redactedThinking("b3BhcXVl");
const SEARCH: BlockSpec = {
  start: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
  deltas: ['{"que', 'ry":"', 'ü"}'].map((partial_json) => ({ type: "input_json_delta", partial_json })),
};
const FOUND = block({
  type: "web_search_tool_result",
  tool_use_id: "srvtoolu_1",
  content: [{ type: "web_search_result", url: "https://example.com", title: "T", encrypted_content: "ZW5j" }],
});
const CITATION = { type: "web_search_result_location", url: "https://example.com", cited_text: "so", title: null };
const CITED: BlockSpec = {
  start: { type: "text", text: "", citations: [] },
  deltas: [
    { type: "citations_delta", citation: CITATION },
    { type: "text_delta", text: "It is " },
    { type: "text_delta", text: "so." },
    { type: "citations_delta", citation: { ...CITATION, title: "Again" } },
  ],
};
const FUTURE = block({ type: "a_type_yet_to_come", nested: { list: [1, null, "x"] }, text: "" });
const READ = toolUse("toolu_read", "read", { path: "nothing.txt" }, 2);
const LIST = toolUse("toolu_list", "list", {});

describe("the next request", () => {
  it("[MODEL1] [MODEL2] [MODEL4] [MODEL21] carries every block that the server sent, unchanged, and the results", async () => {
    const first = message([THOUGHT, REDACTED, text(""), SEARCH, FOUND, CITED, FUTURE, READ, LIST]);
    const scene = await createClaudeScene(
      [first.flatMap((part) => [ping, part]), message([text("Done.")]), message([text("Bye.")])],
      { system: "Answer in rhymes." },
    );
    const turn = await scene.run("Look around");
    await scene.run("And now?");

    const [asked, resumed, followed] = await Promise.all([0, 1, 2].map((number) => scene.claude.request(number)));
    expect(asked?.messages).toEqual([user("Look around")]);
    const said = [THOUGHT, REDACTED, SEARCH, FOUND, CITED, FUTURE, READ, LIST].map(blockOf);
    const transcript = [
      user("Look around"),
      assistant(...said),
      results(
        {
          type: "tool_result",
          tool_use_id: "toolu_read",
          content: expect.stringContaining("nothing.txt"),
          is_error: true,
        },
        { type: "tool_result", tool_use_id: "toolu_list", content: expect.any(String) },
      ),
    ];
    expect(resumed).toEqual({ ...asked, messages: transcript });
    expect(followed).toEqual({
      ...asked,
      messages: [...transcript, assistant({ type: "text", text: "Done." }), user("And now?")],
    });
    expect(asked).toMatchObject({
      model: scene.model,
      stream: true,
      max_tokens: 32_000,
      cache_control: { type: "ephemeral" },
      system: expect.stringMatching(/\n\nAnswer in rhymes\.$/),
      tools: ["read", "write", "edit", "list", "glob", "grep", "delete", "wait", "ask_user"].map((name) => ({ name })),
      thinking: { type: "adaptive", display: "summarized" },
    });

    const log = await scene.log();
    expect(outline(log).slice(0, 14)).toEqual([
      "SESSION_INFO",
      "USER_INPUT",
      "processing",
      "THINKING",
      "THINKING",
      "TEXT",
      "TOOL_CALL srvtoolu_1",
      "TOOL_CALL toolu_read",
      "TOOL_CALL toolu_list",
      "TOOL_RESULT toolu_read",
      "TOOL_RESULT toolu_list",
      "TEXT",
      "ITERATION_END complete",
      "SESSION_INFO",
    ]);
    expect(turn).toMatchObject({ status: "complete", response_text: "It is so.Done.", tool_calls: 2 });
  });

  it("[EVENT10] [EVENT11] [EVENT12] [BLOCK11] the log shows thinking, citations and calls of the model's server", async () => {
    const scene = await createClaudeScene([message([THOUGHT, REDACTED, SEARCH, FOUND, CITED, READ]), message([])]);
    const socket = await scene.socket({ after: "0" });
    await scene.run("Look around");
    const log = await scene.log();
    expect(dataOf(log, "THINKING")).toEqual([
      { thinking: "Two things to read: 🤔", offset: 0, done: true },
      { thinking: "", offset: 0, done: true, redacted: true },
    ]);
    const citations = [CITATION, { ...CITATION, title: "Again" }];
    expect(dataOf(log, "TEXT")).toEqual([{ text: "It is so.", offset: 0, done: true, citations }]);
    expect(dataOf(log, "TOOL_CALL")).toMatchObject([
      { id: "srvtoolu_1", name: "web_search", input: { query: "ü" }, executor: "model" },
      { id: "toolu_read", name: "read", input: { path: "nothing.txt" }, executor: "gateway" },
    ]);
    await socket.until(({ type }) => type === "ITERATION_END");
    const live = dataOf(socket.events, "TEXT");
    expect(live.filter(({ done }) => done)).toMatchObject([{ citations }]);
    expect(live.map((piece) => piece.text).join("")).toBe("It is so.");
    socket.close();
  });

  it("[MODEL3] [MODEL31] leaves thinking out for another model, and carries it again for the one that made it", async () => {
    const scene = await createClaudeScene([
      message([THOUGHT, REDACTED, text("One.")]),
      message([thinking("Only this", "c2ln")], { stopReason: "max_tokens" }),
      message([text("Three.")]),
    ]);
    const other = newModelName();
    const claude = await scriptClaude(other, [message([thinking("Mine", "b3RoZXI="), text("Two.")])]);
    await scene.run("First");
    await scene.run("Second");
    unwrap(await scene.stub.patch(ADMIN, { model: other }));
    await scene.run("Third");
    unwrap(await scene.stub.patch(ADMIN, { model: scene.model }));
    await scene.run("Fourth");

    const elsewhere = [user("First"), assistant({ type: "text", text: "One." })];
    // The second answer was nothing but thinking, so that its question stands beside the third.
    const merged = results(...user("Second").content, ...user("Third").content);
    expect((await claude.request(0)).messages).toEqual([...elsewhere, merged]);
    expect((await scene.claude.request(2)).messages).toEqual([
      user("First"),
      assistant(blockOf(THOUGHT), blockOf(REDACTED), { type: "text", text: "One." }),
      merged,
      assistant({ type: "text", text: "Two." }),
      user("Fourth"),
    ]);
    expect(dataOf(await scene.log(), "SESSION_INFO").map(({ model }) => model)).toEqual([
      scene.model,
      scene.model,
      other,
      scene.model,
    ]);
  });

  it("[MODEL3] thinking whose text is not shown goes back with its signature, and has no event", async () => {
    const scene = await createClaudeScene([message([thinking("", "c2ln"), READ]), message([text("Done.")])]);
    await scene.run("Look");
    const [, said] = (await scene.claude.request(1)).messages;
    expect(said).toEqual(assistant({ type: "thinking", thinking: "", signature: "c2ln" }, blockOf(READ)));
    expect(dataOf(await scene.log(), "THINKING")).toEqual([]);
  });

  it("[TURN7] starts on the fast model without thinking and goes on on the other with it", async () => {
    const fast_model = newModelName().replace("opus", "haiku");
    const quick = await scriptClaude(fast_model, [message([thinking("Hm", "ZmFzdA=="), text("I look."), LIST])]);
    const scene = await createClaudeScene([message([text("Done.")])], { fast_model });
    await scene.run("Look");
    expect(await quick.request(0)).toMatchObject({ model: fast_model, thinking: { type: "disabled" } });
    const request = await scene.claude.request(0);
    expect(request).toMatchObject({ model: scene.model, thinking: { type: "adaptive" } });
    expect(request.messages[1]).toEqual(assistant({ type: "text", text: "I look." }, blockOf(LIST)));
    expect(dataOf(await scene.log(), "STATUS")).toEqual([
      { status: "processing", iteration: 1, path: "fast" },
      { status: "processing", iteration: 2, path: "complex" },
    ]);
  });

  it("[MODEL4] the next turn's text stands after the results that the last turn ended on", async () => {
    const scene = await createClaudeScene([message([LIST]), message([text("Done.")])], { max_iterations: 1 });
    expect(await scene.run("Look")).toMatchObject({ status: "max_iterations" });
    await scene.run("Go on");
    const { messages } = await scene.claude.request(1);
    const result = { type: "tool_result", tool_use_id: "toolu_list", content: expect.any(String) };
    expect(messages).toEqual([
      user("Look"),
      assistant(blockOf(LIST)),
      results(result, { type: "text", text: "Go on" }),
    ]);
  });

  it("[MODEL2] a message of nothing, or of nothing but empty text, is left out", async () => {
    const scene = await createClaudeScene([message([]), message([text(""), text("")]), message([text("Hi.")])]);
    for (const input of ["One", "Two", "Three"]) expect(await scene.run(input)).toMatchObject({ status: "complete" });
    const { messages } = await scene.claude.request(2);
    expect(messages).toEqual([results(...["One", "Two", "Three"].flatMap((input) => user(input).content))]);
    expect(dataOf(await scene.log(), "TEXT")).toMatchObject([{ text: "Hi." }]);
  });

  it("[MODEL2] white space goes back where a message has other text, and is left out where it has none", async () => {
    const among = [text("One"), text(" \n"), text("two")];
    const scene = await createClaudeScene([
      message(among),
      message([text("\n\n"), LIST]),
      message([text(" ")]),
      message([text("Done.")]),
    ]);
    await scene.run("Speak");
    await scene.run("Look");
    await scene.run("Go on");
    const { messages } = await scene.claude.request(3);
    expect(messages.filter(({ role }) => role === "assistant")).toEqual([
      assistant(...among.map(blockOf)),
      assistant(blockOf(LIST)),
    ]);
    expect(dataOf(await scene.log(), "TEXT").map((data) => data.text)).toEqual([
      "One",
      " \n",
      "two",
      "\n\n",
      " ",
      "Done.",
    ]);
  });
});

describe("what a stream may hold", () => {
  it("[MODEL20] events, deltas and fields of types that are not known change nothing", async () => {
    const parts = message([text("Hi.", 1), LIST]);
    const strange = [
      event({ type: "a_type_yet_to_come", index: 0, delta: [] }),
      event({ type: "content_block_delta", index: 0, delta: { type: "mood_delta", mood: "fine" }, confidence: 1 }),
    ];
    const scene = await createClaudeScene([parts.toSpliced(3, 0, ...strange), message([text("Done.")])]);
    expect(await scene.run("Look")).toMatchObject({ status: "complete", response_text: "Hi.Done." });
    const [, said] = (await scene.claude.request(1)).messages;
    expect(said).toEqual(assistant({ type: "text", text: "Hi." }, blockOf(LIST)));
  });

  it("[MODEL1] a block's first characters may come with its start", async () => {
    const started: BlockSpec = {
      start: { type: "text", text: "Be" },
      deltas: [{ type: "text_delta", text: "gun." }],
    };
    const whole = block({ type: "tool_use", id: "toolu_whole", name: "read", input: { path: "nothing.txt" } });
    const scene = await createClaudeScene([message([started, whole]), message([])]);
    expect(await scene.run("Look")).toMatchObject({ response_text: "Begun." });
    const [, said, found] = (await scene.claude.request(1)).messages;
    expect(said).toEqual(assistant({ type: "text", text: "Begun." }, whole.start));
    expect(found?.content).toMatchObject([{ tool_use_id: "toolu_whole", content: expect.stringContaining("nothing") }]);
  });

  it("[MODEL19] [ID8] a character that two deltas share is one, in the request and in every frame", async () => {
    const halves = text("a😀b😀", [2, 5]);
    expect(halves.deltas.map((delta) => delta["text"])).toEqual(["a\ud83d", "\ude00b\ud83d", "\ude00"]);
    const thought = thinking("🤔", "c2ln", 1);
    const scene = await createClaudeScene([message([thought, halves]), message([])]);
    const socket = await scene.socket({ after: "0" });
    expect(await scene.run("Speak")).toMatchObject({ response_text: "a😀b😀" });
    await socket.until(({ type }) => type === "ITERATION_END");
    const pieces = dataOf(socket.events, "TEXT").map((data) => data.text);
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
    expect(pieces.join("")).toBe("a😀b😀");
    socket.close();
    await scene.run("Go on");
    const [, said] = (await scene.claude.request(1)).messages;
    expect(said).toEqual(assistant(blockOf(thought), { type: "text", text: "a😀b😀" }));
  });

  it("[ID7] half a character that nothing follows is replaced, since the API refuses requests that hold one", async () => {
    const call = toolUse("toolu_half", "write", { path: "half.txt", content: "b\ud83d" });
    const scene = await createClaudeScene([message([text("a\ud83d"), call]), message([])]);
    await scene.run("Speak");
    const [, said] = (await scene.claude.request(1)).messages;
    // As JSON, since half a character would also break the report of a failure.
    expect(JSON.stringify(said)).toBe(
      JSON.stringify(
        assistant(
          { type: "text", text: "a\ufffd" },
          { type: "tool_use", id: "toolu_half", name: "write", input: { path: "half.txt", content: "b\ufffd" } },
        ),
      ),
    );
    expect(dataOf(await scene.log(), "TEXT")).toMatchObject([{ text: "a\ufffd" }]);
  });
});
