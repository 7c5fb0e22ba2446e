import { firstChars } from "../protocol/first-chars.ts";
import { estimateTokens } from "./estimate-tokens.ts";
import type { ContentBlock } from "./messages.ts";
import type { TranscriptEntry } from "./turn-store.ts";

/** What a tool was asked and what it gave matters less to a summary than what was said. */
const CALL_MAX_CHARS = 2_000;

/**
 * A message as text, for a summary of it. Text serves every model, whatever thinks, signs or calls, and can be cut
 * anywhere.
 *
 * @param maxTokens by the estimate; of a longer message the middle is left out, and the text says so
 */
export function renderEntry(entry: TranscriptEntry, maxTokens: number): string {
  const who = entry.role === "user" ? "User" : "Assistant";
  const lines = [...entry.content, ...entry.results].flatMap((block) => lineOf(who, block) ?? []);
  return withoutMiddle(lines.join("\n"), maxTokens);
}

function lineOf(who: string, block: ContentBlock): string | null {
  switch (block.type) {
    case "text":
      return `${who}: ${String(block["text"])}`;
    case "thinking":
    case "redacted_thinking":
      return null;
    case "tool_use":
      return `${who} called ${String(block["name"])}: ${short(block["input"])}`;
    case "tool_result":
      return `Result${block["is_error"] === true ? " (an error)" : ""}: ${short(block["content"])}`;
    default:
      return `${who} (${block.type}): ${short(block)}`;
  }
}

function short(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > CALL_MAX_CHARS ? `${firstChars(text, CALL_MAX_CHARS)} […]` : text;
}

/** The text, without so much of its middle that the rest takes no more than `maxTokens`. */
export function withoutMiddle(text: string, maxTokens: number): string {
  const tokens = estimateTokens(text);
  if (tokens <= maxTokens) return text;
  for (let kept = Math.floor((text.length * maxTokens) / tokens); ; kept = Math.floor(kept / 2)) {
    const half = Math.floor(kept / 2);
    const end = half === 0 ? "" : text.slice(-half);
    const shorter = `${firstChars(text, half)}\n[… ${text.length - 2 * half} characters are left out here …]\n${end}`;
    if (half === 0 || estimateTokens(shorter) <= maxTokens) return shorter.toWellFormed();
  }
}
