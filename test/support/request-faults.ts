import type { Message } from "../../src/engine/messages.ts";

/** What the API would refuse of a request's messages (https://docs.claude.com/en/api/messages), one line each. */
export function requestFaults(messages: Message[]): string[] {
  const faults: string[] = [];
  if (messages[0]?.role !== "user") faults.push("the first message is not the user's");
  for (const [i, { role, content }] of messages.entries()) {
    const say = (fault: string) => faults.push(`${i}: ${fault}`);
    if (role === messages[i + 1]?.role) say("two messages of one role");
    if (content.length === 0) say("an empty message");
    const texts = content.flatMap((block) => (block.type === "text" ? [String(block["text"])] : []));
    if (texts.includes("")) say("empty text");
    if (texts.length > 0 && texts.join("").trim() === "") say("nothing but white space");
    if (content.some((block) => block.type === "thinking" && block["signature"] === "")) say("unsigned thinking");
    if (role === "assistant" && content.at(-1)?.type.endsWith("thinking") === true) say("thinking at the end");

    const before = i === 0 ? [] : (messages[i - 1]?.content ?? []);
    const calls = before.flatMap((block) => (block.type === "tool_use" ? [block["id"]] : []));
    const results = content.flatMap((block) => (block.type === "tool_result" ? [block["tool_use_id"]] : []));
    if (results.join() !== calls.join()) say("results that are not those of the calls");
    if (content.slice(0, results.length).some(({ type }) => type !== "tool_result"))
      say("results after something else");
  }
  if (messages.at(-1)?.content.some(({ type }) => type === "tool_use") === true) faults.push("calls without results");
  return faults;
}
