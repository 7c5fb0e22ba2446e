import type { ContentBlock, Message } from "./messages.ts";
import type { ContextWindow, Model, ModelRequest, ToolSpec } from "./ports.ts";
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
export const CLEARED_RESULT = "[This result was cleared to make room. Run the tool again if it is needed.]";

/** At this share of what fits, the model's server clears older results, where it does. */
const CLEARING_SHARE = 0.8;

/** The next request of a turn, from what is stored. The same material gives the same request. */
export function buildRequest(
  material: RequestMaterial,
  model: Pick<Model, "thinking" | "maxTokens" | "window">,
  tools: ToolSpec[],
): ModelRequest {
  const name = material.path === "fast" ? (material.fastModel ?? material.model) : material.model;
  const kind = model.thinking(name);
  const limits = model.maxTokens(name);
  const max_tokens = material.raisedMaxTokens ? limits.highest : limits.usual;
  return {
    model: name,
    system: material.system === null ? SYSTEM_PROMPT : `${SYSTEM_PROMPT}\n\n${material.system}`,
    messages: toMessages(withRoomMade(material), name),
    tools,
    max_tokens,
    clearing: clearingOf(material, model.window(name), max_tokens),
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

/** The messages with results that are not cleared yet and may be. */
export function olderEntries({ transcript, room }: Pick<RequestMaterial, "transcript" | "room">): TranscriptEntry[] {
  return transcript
    .filter((entry) => entry.results.length > 0)
    .slice(0, -RESULTS_KEPT)
    .filter((entry) => entry.messageId > room.clearedTo);
}

/** The transcript without the results of messages up to `clearedTo`. */
export function withoutResults(transcript: TranscriptEntry[], clearedTo: number): TranscriptEntry[] {
  return transcript.map((entry) =>
    entry.messageId <= clearedTo
      ? { ...entry, results: entry.results.map((result) => ({ ...result, content: CLEARED_RESULT })) }
      : entry,
  );
}

/** The transcript with what stands for messages before it, and without the results that were cleared. */
function withRoomMade({ transcript, room }: RequestMaterial): TranscriptEntry[] {
  const entries = withoutResults(transcript, room.clearedTo);
  if (room.summary === null) return entries;
  const text = `Summary of the conversation so far:\n${room.summary}`;
  return [
    { messageId: 0, turnId: "", role: "user", content: [{ type: "text", text }], model: null, results: [] },
    ...entries,
  ];
}

/** Below the window, so that the model's server clears before anything is refused. */
function clearingOf(
  material: RequestMaterial,
  window: ContextWindow | null,
  maxTokens: number,
): ModelRequest["clearing"] {
  if (window?.clearsResults !== true || olderEntries(material).length === 0) return undefined;
  const kept = material.transcript.filter((entry) => entry.results.length > 0).slice(-RESULTS_KEPT);
  return {
    trigger: Math.floor((window.tokens - maxTokens) * CLEARING_SHARE),
    keep: kept.reduce((sum, entry) => sum + entry.results.length, 0),
  };
}
