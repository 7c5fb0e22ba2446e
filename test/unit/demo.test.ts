import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/engine/messages.ts";
import {
  assemble,
  callDemo,
  collect,
  demoMessage,
  driveDemo,
  mergeNeighbours,
  textsOf,
  toolUses,
  userText,
} from "../support/drive-demo.ts";

const json = (text: string) => JSON.stringify(text);

/** Every step that neither fails nor ends the turn, with how many messages it ends. */
const anyStep = fc.oneof(
  fc.string().map((text) => ({ text: `Say ${json(text)}`, ends: 0 })),
  fc.constantFrom(
    { text: "Count to 3", ends: 0 },
    { text: "Think for 4 words", ends: 0 },
    { text: "Fail with 529 0 times", ends: 0 },
    { text: "Read a.txt", ends: 1 },
    { text: "Ask 'Q'", ends: 1 },
    { text: 'Call x with {"a": 1}', ends: 1 },
    { text: "At once: List . & Run 'ls' & Ask 'Q'", ends: 1 },
    { text: "Stop with pause_turn", ends: 1 },
  ),
);
const anyScript = fc.array(anyStep, { minLength: 1, maxLength: 12 });
const scriptText = (steps: { text: string }[]) => steps.map(({ text }) => text).join(", then ");

const said = async (script: string) => (await driveDemo(script)).messages.map((message) => textsOf(message));

describe("the messages of a script", () => {
  test("[DEMO6] a tool step is followed by Done, which counts all steps", async () => {
    const { messages } = await driveDemo("Say 'Now', then Write 'x' to a.txt; Read a.txt");
    expect(messages.map(({ stopReason }) => stopReason)).toEqual(["tool_use", "tool_use", "end_turn"]);
    expect(messages.map(({ content }) => content.map(({ type }) => type))).toEqual([
      ["text", "tool_use"],
      ["tool_use"],
      ["text"],
    ]);
    expect(messages.map((message) => textsOf(message))).toEqual([["Now"], [], ["Done: 3 steps. (demo model)"]]);
    expect(await said("List .")).toEqual([[], ["Done: 1 steps. (demo model)"]]);
    expect(await said("At once: List . & Read a")).toEqual([[], ["Done: 1 steps. (demo model)"]]);
  });

  test("[DEMO6] any other last step ends the turn with its own text", async () => {
    expect(await said("Read a.txt, then Say 'read', then Count to 2")).toEqual([[], ["read", "1 2 "]]);
    expect(await said("Say ''")).toEqual([[]]);
  });

  test("[DEMO5] any script makes one call of the model for each tool step, and one more", async () => {
    await fc.assert(
      fc.asyncProperty(anyScript, async (steps) => {
        const { messages } = await driveDemo(scriptText(steps));
        expect(messages).toHaveLength(steps.reduce((sum, { ends }) => sum + ends, 1));
        expect(messages.at(-1)?.stopReason).toBe("end_turn");
        const ids = messages.flatMap(toolUses).map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: 50 },
    );
  });

  test("[DEMO3] what is not understood is answered with the sentences, and nothing runs", async () => {
    const { messages } = await driveDemo("Write 'x' to a.txt, then dance");
    expect(messages).toHaveLength(1);
    const [text] = messages.flatMap(textsOf);
    expect(text).toMatch(/demo model/);
    expect(text).toContain("`Create a file called F in D with the text 'T'`");
    expect(text).toContain("`Count to N [at M ms]`");
  });

  test("[DEMO18] Loop lists for ever", async () => {
    const { messages } = await driveDemo("Say 'off', then Loop, then Say 'never'", { most: 30 });
    expect(messages.map((message) => textsOf(message).length)).toEqual([1, ...Array(29).fill(0)]);
    expect(messages.flatMap(toolUses).map(({ name, input }) => ({ name, input }))).toEqual(
      Array(30).fill({ name: "list", input: { path: "." } }),
    );
  });

  test("[DEMO11] At once makes its calls in one message", async () => {
    const { messages } = await driveDemo("At once: Read a & Read b & Wait 1 seconds");
    expect(messages.map((message) => toolUses(message).map(({ name }) => name))).toEqual([
      ["read", "read", "wait"],
      [],
    ]);
  });
});

describe("what the transcript decides", () => {
  const result = (id: string, content: string) => ({ type: "tool_result", tool_use_id: id, content });

  test("[DEMO1] a call made again gives the same events, wherever the one before was cut off", async () => {
    await fc.assert(
      fc.asyncProperty(anyScript, fc.nat(), async (steps, place) => {
        const { transcript } = await driveDemo(scriptText(steps));
        const calls = transcript.map((_, index) => transcript.slice(0, index)).filter((before) => before.length > 0);
        const messages = calls[place % calls.length] ?? [];
        const first = await collect(callDemo(messages));
        expect(await collect(callDemo(structuredClone(messages)))).toEqual(first);
        // Neighbours of one role may come as one message.
        const merged = await demoMessage(mergeNeighbours(messages));
        expect({ ...merged, inputTokens: 0 }).toEqual({ ...assemble(first), inputTokens: 0 });
      }),
      { numRuns: 50 },
    );
  });

  test("[DEMO22] a steered text replaces what was left of the script", async () => {
    const { transcript } = await driveDemo("Ask 'Q', then Read b, then Read c", { most: 1 });
    const results = transcript.at(-1) ?? userText();
    const steered: Message[] = [
      ...transcript.slice(0, -1),
      { role: "user", content: [...results.content, ...userText("Say 'one'", "Read d").content] },
    ];
    const first = await demoMessage(steered);
    expect(textsOf(first)).toEqual([]);
    expect(toolUses(first)).toEqual([{ id: "toolu_demo_2", name: "read", input: { path: "d" } }]);
    const last = await demoMessage([
      ...steered,
      { role: "assistant", content: first.content },
      { role: "user", content: [result("toolu_demo_2", "ok")] },
    ]);
    expect(textsOf(last)).toEqual(["Done: 1 steps. (demo model)"]);
  });

  test("[DEMO1] a turn after a failed one, whose text stands right before, runs its own text", async () => {
    for (const messages of [[userText("Fail with 400"), userText("Say 'b'")], [userText("Fail with 400", "Say 'b'")]]) {
      expect(textsOf(await demoMessage(messages))).toEqual(["b"]);
    }
  });

  test("[DEMO1] an earlier turn does not count", async () => {
    const { transcript } = await driveDemo("Read a, then Read b");
    const { messages } = await driveDemo("Read c, then Say 'c'", { before: transcript });
    expect(messages.flatMap(toolUses)).toEqual([{ id: "toolu_demo_3", name: "read", input: { path: "c" } }]);
    expect(messages.flatMap(textsOf)).toEqual(["c"]);
  });

  test("[DEMO19] tool ids are new even where the transcript lost some messages", async () => {
    const { transcript } = await driveDemo("At once: Read a & Read b, then Read c");
    const lost = transcript.filter((_, index) => index > 2);
    const { messages } = await driveDemo("At once: Read a & Read b & Read c", { before: lost });
    expect(messages.flatMap(toolUses).map(({ id }) => id)).toEqual(["toolu_demo_2", "toolu_demo_4", "toolu_demo_5"]);
  });

  test("[DEMO21] the message after a question begins with the answer as its own text block", async () => {
    const blue = () => ({ content: "blue, then red" });
    const { messages } = await driveDemo("Ask 'Q', then Say 'Thanks'; At once: Ask 'R' & Ask 'S'", { respond: blue });
    expect(messages.map((message) => textsOf(message))).toEqual([
      [],
      ["blue, then red", "Thanks"],
      ["blue, then red", "blue, then red", "Done: 3 steps. (demo model)"],
    ]);
    const failed = await driveDemo("Ask 'Q'", {
      respond: () => ({ content: "There is no such tool.", is_error: true }),
    });
    expect(failed.messages.flatMap(textsOf)).toEqual(["Done: 1 steps. (demo model)"]);
  });

  test("[DEMO21] an answer may come as content blocks", async () => {
    const { transcript } = await driveDemo("Ask 'Q'", { most: 1 });
    const answer = { type: "tool_result", tool_use_id: "toolu_demo_1", content: [{ type: "text", text: "blue" }] };
    const message = await demoMessage([...transcript.slice(0, -1), { role: "user", content: [answer] }]);
    expect(textsOf(message)).toEqual(["blue", "Done: 1 steps. (demo model)"]);
  });

  test("[DEMO19] usage counts the words of the messages, and of what was streamed", async () => {
    const { messages } = await driveDemo("Say 'one  two', then Think for 3 words; Read a", {
      respond: () => ({ content: "four words of result" }),
    });
    // 10 words of the user; then "one two", three thoughts, {"path":"a"} and the four words of the result.
    expect(messages.map(({ inputTokens, outputTokens }) => [inputTokens, outputTokens])).toEqual([
      [10, 6],
      [20, 5],
    ]);
  });
});
