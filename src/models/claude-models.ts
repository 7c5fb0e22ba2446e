import type { ContextWindow, ThinkingKind } from "../engine/ports.ts";

/** The model of a gateway that names none. */
export const DEFAULT_CLAUDE_MODEL = "claude-opus-5-5";

/** What a family of Claude models offers (https://platform.claude.com/docs/en/about-claude/models/overview). */
export type ClaudeModel = {
  thinking: ThinkingKind;
  /**
   * What a request sends when the model is not to think. `omitted`: the model does not think unless asked. `always`: it
   * cannot be kept from thinking. `between_tools` is Sonnet 5.5's word for `disabled`.
   */
  withoutThinking: "omitted" | "disabled" | "between_tools" | "always";
  /**
   * Thinking blocks are tied to everything that was sent before them
   * (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking).
   */
  bindsThinking: boolean;
  /** Output tokens at most: what is usually asked for, and what the model allows. */
  maxTokens: { usual: number; highest: number };
  /**
   * What its API takes, and whether it clears older tool results
   * (https://platform.claude.com/docs/en/build-with-claude/context-editing); null for a model that nothing is known of.
   */
  window: ContextWindow | null;
};

const LARGE: ContextWindow = { tokens: 1_000_000, clearsResults: true };
const USUAL: ContextWindow = { tokens: 200_000, clearsResults: true };
const USUAL_OF_OLD: ContextWindow = { tokens: 200_000, clearsResults: false };

const maxTokens = (highest: number) => ({ usual: Math.min(highest, 32_000), highest });

const adaptive = (withoutThinking: ClaudeModel["withoutThinking"], bindsThinking: boolean): ClaudeModel => ({
  thinking: "adaptive",
  withoutThinking,
  bindsThinking,
  maxTokens: maxTokens(128_000),
  window: LARGE,
});

const budget = (highest: number, window: ContextWindow): ClaudeModel => ({
  thinking: "budget",
  withoutThinking: "omitted",
  bindsThinking: false,
  maxTokens: maxTokens(highest),
  window,
});

const unthinking = (highest: number, window: ContextWindow | null): ClaudeModel => ({
  thinking: "none",
  withoutThinking: "omitted",
  bindsThinking: false,
  maxTokens: { usual: Math.min(highest, 8_192), highest },
  window,
});

/** By the beginning of the name; the first that fits counts. */
const FAMILIES: readonly (readonly [prefix: string, model: ClaudeModel])[] = [
  ["claude-opus-5-5", adaptive("always", true)],
  ["claude-sonnet-5-5", adaptive("between_tools", true)],
  ["claude-haiku-5-5", adaptive("disabled", true)],
  ["claude-fable-5-", adaptive("always", true)],
  ["claude-mythos-5-", adaptive("always", true)],
  ["claude-fable-5", adaptive("always", false)],
  ["claude-mythos", adaptive("always", false)],
  ["claude-opus-5", adaptive("disabled", false)],
  ["claude-sonnet-5", adaptive("disabled", false)],
  ["claude-opus-4-8", adaptive("omitted", false)],
  ["claude-opus-4-7", adaptive("omitted", false)],
  ["claude-opus-4-6", adaptive("omitted", false)],
  ["claude-sonnet-4-6", adaptive("omitted", false)],
  ["claude-opus-4-5", budget(64_000, USUAL)],
  ["claude-opus-4", budget(32_000, USUAL_OF_OLD)],
  ["claude-sonnet-4-5", budget(64_000, USUAL)],
  ["claude-sonnet-4", budget(64_000, USUAL_OF_OLD)],
  ["claude-haiku-4", budget(64_000, USUAL)],
  ["claude-3-7-sonnet", budget(64_000, USUAL_OF_OLD)],
  ["claude-3-5", unthinking(8_192, USUAL_OF_OLD)],
  ["claude-3", unthinking(4_096, USUAL_OF_OLD)],
];

/** A Claude that is not in the table is newer than it, and taken to be like the newest that is. */
const NEWER_CLAUDE = adaptive("always", true);

/** Another model behind a server that speaks the Messages API; nothing is asked of it that it may not know. */
const OTHER = unthinking(32_000, null);

/** What the model of this name offers. Vendors put words before the name and write versions with a dot. */
export function claudeModel(name: string): ClaudeModel {
  const start = name.indexOf("claude-");
  if (start === -1) return OTHER;
  const plain = name.slice(start).replaceAll(".", "-");
  return FAMILIES.find(([prefix]) => plain.startsWith(prefix))?.[1] ?? NEWER_CLAUDE;
}
