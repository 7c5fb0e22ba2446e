import type { ContentBlock, Message } from "../engine/messages.ts";
import { isPause } from "./demo-blocks.ts";

/** What the demo model takes from a transcript. */
export type DemoTranscript = {
  /** The last text of a user: the script. */
  script: string;
  /** How many calls of the model have followed it. */
  done: number;
  /** What the user answered to the questions of the message before. */
  answers: string[];
  /** Words in all messages. */
  words: number;
  /** Ids for new tool calls, none of which stands in the transcript. */
  toolIds: Iterator<string, never>;
};

/**
 * Reads a transcript. User messages may have been merged: a later text block of one message is the later text, and a
 * text beside tool results was steered in after them.
 */
export function readTranscript(messages: Message[]): DemoTranscript {
  const at = messages.findLastIndex(({ role, content }) => role === "user" && content.some(isText));
  const after = messages.slice(at + 1);
  const assistant = messages.filter(({ role }) => role === "assistant").flatMap(({ content }) => content);
  return {
    script: stringOf(messages[at]?.content.findLast(isText)?.["text"]),
    done: after.reduce((sum, message) => sum + callsIn(message), 0),
    answers: answersIn(after),
    words: messages.flatMap(({ content }) => content).reduce((sum, block) => sum + countWords(textOf(block)), 0),
    toolIds: newToolIds(assistant.filter(isToolUse).map((block) => stringOf(block["id"]))),
  };
}

/** One call made a message, but for those that were paused and may have been merged with the one that went on. */
function callsIn({ role, content }: Message): number {
  if (role === "user") return 0;
  const pauses = content.filter(isPause).length;
  const last = content.at(-1);
  return last !== undefined && isPause(last) ? pauses : pauses + 1;
}

/** The transcript may have lost messages since an id was given, so counting alone could give one twice. */
function* newToolIds(taken: string[]): Iterator<string, never> & Generator<string, never> {
  const used = new Set(taken);
  for (let number = taken.length + 1; ; number++) {
    const id = `toolu_demo_${number}`;
    if (!used.has(id)) yield id;
  }
}

function answersIn(messages: Message[]): string[] {
  const asking = messages.findLast(({ role }) => role === "assistant")?.content ?? [];
  const results = messages.filter(({ role }) => role === "user").flatMap(({ content }) => content);
  return asking
    .filter((block) => isToolUse(block) && block["name"] === "ask_user")
    .map((call) => results.find((result) => result["tool_use_id"] === call["id"] && result["is_error"] !== true))
    .map((result) => (result === undefined ? "" : textOf(result)));
}

/** The words that a block holds: its text, its thinking, the text of a result, the input of a call. */
function textOf(block: ContentBlock): string {
  switch (block.type) {
    case "text":
      return stringOf(block["text"]);
    case "thinking":
      return stringOf(block["thinking"]);
    case "tool_use":
      return JSON.stringify(block["input"]) ?? "";
    case "tool_result":
      return resultText(block["content"]);
    default:
      return "";
  }
}

function resultText(content: unknown): string {
  if (!Array.isArray(content)) return stringOf(content);
  return content.map((block: unknown) => stringOf(Object(block)["text"])).join("\n");
}

function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

const isText = (block: ContentBlock): boolean => block.type === "text";
const isToolUse = (block: ContentBlock): boolean => block.type === "tool_use";
const stringOf = (value: unknown): string => (typeof value === "string" ? value : "");
