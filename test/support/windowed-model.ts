import { estimateTokens } from "../../src/engine/estimate-tokens.ts";
import { type ContextWindow, type Model, ModelError, type ModelRequest } from "../../src/engine/ports.ts";
import { answer } from "./hand-model.ts";
import { text, toolUse } from "./messages-script.ts";

const MAX_TOKENS = 1_000;

export type WindowedOptions = {
  /** Input tokens that fit, by the gateway's own estimate. */
  room: number;
  /** Whether the gateway is told what fits; else the model only refuses what does not. */
  known?: boolean;
  clearsResults?: boolean;
  /** What a call for a summary does instead of giving one; `number` counts such calls from 1. */
  onSummary?: (number: number, signal: AbortSignal) => AsyncIterable<unknown> | Iterable<unknown> | undefined;
};

/**
 * A model that refuses what does not fit. A text of the user's names the sizes of results that it is to ask for, one
 * call a message: `3,5` asks the tool `give` for 3 characters, then for 5, and then says so.
 */
export class WindowedModel implements Model {
  readonly requests: ModelRequest[] = [];
  readonly #options: WindowedOptions;

  constructor(options: WindowedOptions) {
    this.#options = options;
  }

  get summaries(): ModelRequest[] {
    return this.requests.filter(({ purpose }) => purpose === "summary");
  }

  get steps(): ModelRequest[] {
    return this.requests.filter(({ purpose }) => purpose === undefined);
  }

  thinking(): "none" {
    return "none";
  }

  maxTokens(): { usual: number; highest: number } {
    return { usual: MAX_TOKENS, highest: 2 * MAX_TOKENS };
  }

  window(): ContextWindow | null {
    const { known = true, room, clearsResults = false } = this.#options;
    return known ? { tokens: room + MAX_TOKENS, clearsResults } : null;
  }

  /** Whether the request fits, without the results that were to be cleared. */
  fits(request: ModelRequest): boolean {
    return sizeOf(seenOf(request).request) <= this.#options.room + MAX_TOKENS - request.max_tokens;
  }

  async *stream(request: ModelRequest, { signal }: { signal: AbortSignal }): AsyncGenerator<unknown> {
    this.requests.push(structuredClone(request));
    await Promise.resolve();
    if (request.purpose === "summary") {
      const instead = this.#options.onSummary?.(this.summaries.length, signal);
      if (instead !== undefined) return yield* instead;
    }
    if (!this.fits(request)) {
      throw new ModelError("invalid_request_error", "prompt is too long", { status: 400, tooLong: true });
    }
    const { cleared } = seenOf(request);
    const events =
      request.purpose === "summary" ? answer([text(`Summary ${this.summaries.length}.`)]) : nextMessage(request);
    yield* cleared === 0 ? events : events.map((event) => tellCleared(event, cleared));
  }
}

/** What the model is shown of a request, and how many results were cleared for that. */
function seenOf(request: ModelRequest): { request: ModelRequest; cleared: number } {
  const { clearing, messages } = request;
  if (clearing === undefined || sizeOf(request) < clearing.trigger) return { request, cleared: 0 };
  const results = messages.flatMap(({ content }) => content.filter(({ type }) => type === "tool_result"));
  const cleared = new Set(results.slice(0, -clearing.keep));
  const seen = messages.map(({ role, content }) => ({
    role,
    content: content.map((block) => (cleared.has(block) ? { ...block, content: "" } : block)),
  }));
  return { request: { ...request, messages: seen }, cleared: cleared.size };
}

/** A message's end as the API sends it where it cleared results. */
export function tellCleared(event: unknown, cleared_tool_uses: number): unknown {
  if (typeof event !== "object" || event === null || !("type" in event) || event.type !== "message_delta") return event;
  const edit = { type: "clear_tool_uses_20250919", cleared_tool_uses, cleared_input_tokens: 1 };
  return { ...event, context_management: { applied_edits: [edit] } };
}

function sizeOf({ system, tools, messages }: ModelRequest): number {
  return estimateTokens([system, tools, messages]);
}

function nextMessage({ messages }: ModelRequest): unknown[] {
  const at = messages.findLastIndex(({ role, content }) => role === "user" && content.at(-1)?.type === "text");
  const sizes = /[\d,]+/.exec(String(messages[at]?.content.at(-1)?.["text"]))?.[0].split(",") ?? [];
  const done = messages.slice(at).filter(({ role }) => role === "assistant").length;
  const chars = sizes[done];
  if (chars === undefined || chars === "") return answer([text("Done.")]);
  return answer([toolUse(`toolu_${messages.length}_${done}`, "give", { chars: Number(chars) })]);
}
