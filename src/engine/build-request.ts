import type { ContentBlock, Message } from "./messages.ts";
import type { Model, ModelRequest, ToolSpec } from "./ports.ts";
import type { RequestMaterial, TranscriptEntry } from "./turn-store.ts";

/** What every session's model is told first. Fixed, so that prompt caching holds across turns and sessions. */
const SYSTEM_PROMPT = [
  "You are an agent that works in a workspace of files through the tools that you are given.",
  "Paths are relative to the workspace. Nothing outside it can be read or written.",
  "What you make for people to keep (reports, documents, results) goes into the folder work_products/.",
  "Use the tools to do the work itself rather than describing it, and say briefly what you did at the end.",
].join("\n");

/** The results of this many of the latest messages with tool calls stay when room must be made. */
const RESULTS_KEPT = 2;
const CLEARED_RESULT = "[This result was cleared to make room. Run the tool again if it is needed.]";

/** The next request of a turn, from what is stored. The same material gives the same request. */
export function buildRequest(
  material: RequestMaterial,
  model: Pick<Model, "thinking" | "maxTokens">,
  tools: ToolSpec[],
): ModelRequest {
  const name = material.path === "fast" ? (material.fastModel ?? material.model) : material.model;
  const kind = model.thinking(name);
  const limits = model.maxTokens(name);
  return {
    model: name,
    system: material.system === null ? SYSTEM_PROMPT : `${SYSTEM_PROMPT}\n\n${material.system}`,
    messages: toMessages(material.makeRoom ? makeRoom(material.transcript) : material.transcript, name),
    tools,
    max_tokens: material.raisedMaxTokens ? limits.highest : limits.usual,
    // A tool loop has one thinking configuration; only adaptive models may start to think in the middle of one.
    thinking: material.path === "complex" && (kind === "adaptive" || (kind === "budget" && !material.startsFast)),
  };
}

/**
 * The transcript as the API takes it: no blank text, no empty message, thinking only for the model that made it, and
 * neighbours of the same role as one message (a turn that failed leaves its user text next to the following one).
 */
function toMessages(transcript: TranscriptEntry[], model: string): Message[] {
  const messages: Message[] = [];
  const add = (role: Message["role"], blocks: ContentBlock[]) => {
    if (blocks.length === 0) return;
    if (role === "user") dropLastThinking(messages);
    const previous = messages.at(-1);
    if (previous?.role === role) previous.content.push(...blocks);
    else messages.push({ role, content: [...blocks] });
  };
  for (const entry of transcript) {
    add(
      entry.role,
      withoutBlankText(entry.content).filter((block) => entry.model === model || !isThinking(block)),
    );
    add("user", entry.results);
  }
  dropLastThinking(messages);
  return messages;
}

/** The API refuses a message of the model's that ends in thinking, as one does that was cancelled or cut there. */
function dropLastThinking(messages: Message[]): void {
  const last = messages.at(-1);
  if (last?.role !== "assistant") return;
  last.content = last.content.slice(0, last.content.findLastIndex((block) => !isThinking(block)) + 1);
  if (last.content.length === 0) messages.pop();
}

/** The API refuses empty text, and white space where a message has no other text. */
function withoutBlankText(content: ContentBlock[]): ContentBlock[] {
  const texts = content.filter(({ type }) => type === "text").map((block) => String(block["text"]));
  const hasText = texts.some((text) => text.trim() !== "");
  return content.filter((block) => block.type !== "text" || (hasText && block["text"] !== ""));
}

function isThinking(block: ContentBlock): boolean {
  return block.type === "thinking" || block.type === "redacted_thinking";
}

/** Whether a request can be made smaller. */
export function canMakeRoom(transcript: TranscriptEntry[]): boolean {
  return olderResults(transcript).length > 0;
}

function olderResults(transcript: TranscriptEntry[]): TranscriptEntry[] {
  return transcript.filter((entry) => entry.results.length > 0).slice(0, -RESULTS_KEPT);
}

function makeRoom(transcript: TranscriptEntry[]): TranscriptEntry[] {
  const cleared = new Set(olderResults(transcript));
  return transcript.map((entry) =>
    cleared.has(entry)
      ? { ...entry, results: entry.results.map((result) => ({ ...result, content: CLEARED_RESULT })) }
      : entry,
  );
}
