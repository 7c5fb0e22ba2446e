import fc from "fast-check";
import { expect, it } from "vitest";
import { type BlockSpec, failure, message, type Reply, text, thinking, toolUse } from "../support/messages-script.ts";
import { type Block, createClaudeScene, dataOf, messagesOf } from "./claude-scene.ts";

const unsigned: BlockSpec = {
  start: { type: "thinking", thinking: "", signature: "" },
  deltas: [{ type: "thinking_delta", thinking: "Hm" }],
};

const anyBlock: fc.Arbitrary<BlockSpec> = fc.oneof(
  fc.constantFrom("", " ", "One.", "Two.").map((value) => text(value)),
  fc.constant(thinking("Hm", "c2ln")),
  fc.uuid().map((id) => toolUse(id, "list", {})),
  fc.uuid().map((id) => toolUse(id, "no_such_tool", {})),
);
const anyStop = fc.constantFrom(undefined, "end_turn", "stop_sequence", "max_tokens", "pause_turn", "refusal");
const anyReply: fc.Arbitrary<Reply> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.array(anyBlock, { maxLength: 4 }), anyStop).map(toMessage) },
  { weight: 1, arbitrary: fc.constantFrom(400, 401, 413).map((status) => failure(status, "refused", "No.")) },
);

function toMessage([blocks, stopReason]: [BlockSpec[], string | undefined]): Reply {
  if (stopReason === undefined) return message(blocks);
  // Only a message that ran out of tokens holds thinking that was cut.
  return message(stopReason === "max_tokens" ? [...blocks, unsigned] : blocks, { stopReason });
}

/** What the API would refuse of a request's messages (https://docs.claude.com/en/api/messages). */
function faultsOf(messages: { role: string; content: Block[] }[]): string[] {
  const faults: string[] = [];
  if (messages[0]?.role !== "user") faults.push("the first message is not the user's");
  for (const [i, { role, content }] of messages.entries()) {
    if (role === messages[i + 1]?.role) faults.push(`${i}: two messages of one role`);
    if (content.length === 0) faults.push(`${i}: an empty message`);
    const texts = content.flatMap((block) => (block.type === "text" ? [String(block["text"])] : []));
    if (texts.includes("")) faults.push(`${i}: empty text`);
    if (texts.length > 0 && texts.join("").trim() === "") faults.push(`${i}: nothing but white space`);
    if (content.some((block) => block.type === "thinking" && block["signature"] === "")) faults.push(`${i}: unsigned`);
    if (content.at(-1)?.type === "thinking") faults.push(`${i}: thinking at the end`);

    const results = content.filter(({ type }) => type === "tool_result").map((block) => block["tool_use_id"]);
    const before = messages[i - 1]?.content ?? [];
    const calls = before.filter(({ type }) => type === "tool_use").map((block) => block["id"]);
    if (results.join() !== calls.join()) faults.push(`${i}: results that are not those of the calls`);
    if (content.slice(0, results.length).some(({ type }) => type !== "tool_result")) faults.push(`${i}: text first`);
  }
  const last = messages.at(-1)?.content ?? [];
  if (last.some(({ type }) => type === "tool_use")) faults.push("calls without results at the end");
  return faults;
}

it("[MODEL2] [MODEL4] [MODEL30] [MODEL31] [TURN1] [TURN21] whatever became of earlier turns, each request is one that the API takes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyReply, { maxLength: 10 }), async (replies) => {
      const scene = await createClaudeScene(replies, { max_iterations: 3 });
      const inputs = ["One", "Two", "Three", "Four"];
      for (const input of inputs) await scene.run(input);
      const requests = (await scene.claude.requests()).map(messagesOf);
      expect(requests.map(faultsOf)).toEqual(requests.map(() => []));

      const log = await scene.log();
      expect(dataOf(log, "ITERATION_END")).toHaveLength(inputs.length);
      const calls = dataOf(log, "TOOL_CALL").map(({ id }) => id);
      expect(dataOf(log, "TOOL_RESULT").map(({ tool_use_id }) => tool_use_id)).toEqual(calls);
    }),
    { numRuns: 25 },
  );
}, 60_000);
