import { bytesOf } from "../protocol/bytes-of.ts";
import { NO_USAGE, type Usage } from "../protocol/events.ts";
import { isTooDeep, type Json } from "../protocol/json.ts";
import { MESSAGE_MAX_CALLS, ROW_MAX_BYTES } from "../protocol/limits.ts";
import { tokensOfBytes } from "./estimate-tokens.ts";
import {
  type ContentBlock,
  citationList,
  type Delta,
  STREAM_EVENT_TYPES,
  type StreamEvent,
  streamEvent,
  type UsageUpdate,
} from "./messages.ts";
import { ModelError } from "./ports.ts";
import type { BlockWriter, Step, ToolUse, TurnStore } from "./turn-store.ts";

type OpenBlock = { index: number; block: ContentBlock; json: string; writer: BlockWriter | null };

/** A message is one row; the rest is for the names of its fields and the row's other columns. */
const MESSAGE_MAX_BYTES = ROW_MAX_BYTES - 100_000;

/** The deltas that a block may have. Any other would make it a block that the API refuses to take back. */
const DELTAS_OF: ReadonlyMap<string, readonly Delta["type"][]> = new Map([
  ["text", ["text_delta", "citations_delta"]],
  ["thinking", ["thinking_delta", "signature_delta"]],
  ["redacted_thinking", []],
  ["tool_use", ["input_json_delta"]],
]);

/**
 * Puts a message together from the events of its stream, and hands text and thinking on as they come. Blocks are kept
 * as the server sent them, so that the next request can carry exactly these.
 */
export class MessageReader {
  readonly #store: Pick<TurnStore, "openText" | "openThinking">;
  #open: OpenBlock | null = null;
  #content: ContentBlock[] = [];
  #calls: ToolUse[] = [];
  #usage: UsageUpdate = {};
  #stopReason: string | null = null;
  #stopDetails: Json = null;
  #clearedResults = 0;
  #started = false;
  #complete = false;
  #bytes = 0;
  /** UTF-8 of text, thinking and tools' input. */
  #streamedBytes = 0;
  #outputTold = false;

  constructor(store: Pick<TurnStore, "openText" | "openThinking">) {
    this.#store = store;
  }

  /** Whether `message_stop` came. A stream that ends without it was cut. */
  get complete(): boolean {
    return this.#complete;
  }

  /**
   * What the message used. Its server tells the output at the end; of a message that was cancelled or cut before, what
   * was streamed is estimated, or it would be free.
   */
  get usage(): Usage {
    const reported = toUsage(this.#usage);
    if (this.#complete || this.#outputTold) return reported;
    return { ...reported, output_tokens: Math.max(reported.output_tokens, tokensOfBytes(this.#streamedBytes)) };
  }

  /** Grows with every event that gets the message further. Pings, unknown events and empty pieces leave it as it is. */
  get progress(): number {
    return this.#bytes + this.#content.length + Number(this.#started) + Number(this.#stopReason !== null);
  }

  /** @throws ModelError `malformed` for a known event of another shape, `output_too_large` for too many bytes or calls */
  push(raw: unknown): void {
    const type = typeof raw === "object" && raw !== null && "type" in raw ? raw.type : undefined;
    if (typeof type !== "string")
      throw new ModelError("malformed", "The model's stream held something that is no event.");
    if (!STREAM_EVENT_TYPES.has(type)) return;
    if (isTooDeep(raw)) throw new ModelError("malformed", `The model's stream held a ${type} event nested too deep.`);
    const parsed = streamEvent.safeParse(raw);
    if (!parsed.success) throw new ModelError("malformed", `The model's stream held a malformed ${type} event.`);
    this.#take(parsed.data);
  }

  /** The message as far as it came, without blocks that are of no use unfinished: tool calls, and thinking without its signature. */
  partial(model: string): Step {
    if (this.#open !== null && this.#open.block.type === "text") this.#close(this.#open);
    const content = this.#content.filter((block) => block.type === "text" || isSigned(block));
    return { ...this.step(model), content, calls: [] };
  }

  step(model: string): Step {
    return {
      content: this.#content,
      model,
      stopReason: this.#stopReason,
      stopDetails: this.#stopDetails,
      usage: this.usage,
      calls: this.#calls,
      ...(this.#clearedResults === 0 ? {} : { clearedResults: this.#clearedResults }),
    };
  }

  #take(event: StreamEvent): void {
    switch (event.type) {
      case "message_start":
        // A proxy that tries again behind our back would have two messages made one.
        if (this.#started) throw new ModelError("malformed", "The model began a second message.");
        this.#started = true;
        this.#usage = { ...event.message.usage };
        break;
      case "content_block_start":
        if (this.#open !== null) throw new ModelError("malformed", "The model opened a block inside another.");
        this.#start(event.index, event.content_block);
        break;
      case "content_block_delta": {
        const open = this.#openAt(event.index);
        if (event.delta !== null) this.#apply(open, event.delta);
        break;
      }
      case "content_block_stop":
        this.#close(this.#openAt(event.index));
        break;
      case "message_delta":
        this.#stopReason = event.delta.stop_reason ?? this.#stopReason;
        this.#stopDetails = event.delta.stop_details ?? this.#stopDetails;
        this.#usage = mergeUsage(this.#usage, event.usage ?? {});
        if (typeof event.usage?.output_tokens === "number") this.#outputTold = true;
        for (const edit of event.context_management?.applied_edits ?? []) {
          this.#clearedResults += edit.cleared_tool_uses;
        }
        break;
      case "message_stop":
        if (this.#open !== null) throw new ModelError("malformed", "The model's message ended inside a block.");
        if (this.#stopReason === null) throw new ModelError("cut", "The model's message ended without a reason.");
        this.#complete = true;
        break;
    }
  }

  #openAt(index: number): OpenBlock {
    if (this.#open?.index !== index)
      throw new ModelError("malformed", "The model's stream names a block that is not open.");
    return this.#open;
  }

  #start(index: number, block: ContentBlock): void {
    const open: OpenBlock = { index, block: { ...block }, json: "", writer: null };
    if (block.type === "tool_use") this.#checkCall(block);
    this.#open = open;
    this.#grow(block);
    // A block may bring its first characters with its start; they are handled like any others.
    if (block.type === "text") {
      open.block["text"] = "";
      this.#apply(open, { type: "text_delta", text: textOf(block, "text") });
    } else if (block.type === "thinking") {
      open.block["thinking"] = "";
      this.#apply(open, { type: "thinking_delta", thinking: textOf(block, "thinking") });
    } else if (block.type === "redacted_thinking") {
      this.#countStreamed(textOf(block, "data"));
      open.writer = this.#store.openThinking({ redacted: true });
    }
  }

  /** A call that cannot be answered would stay in the transcript, and have every later request refused. */
  #checkCall(block: ContentBlock): void {
    const id = textOf(block, "id");
    if (id === "" || textOf(block, "name") === "") {
      throw new ModelError("malformed", "The model's stream held a tool call without an id or a name.");
    }
    if (this.#calls.length === MESSAGE_MAX_CALLS) {
      const words = `The model's message makes more than ${MESSAGE_MAX_CALLS} tool calls. None was run.`;
      throw new ModelError("output_too_large", words, { status: 200 });
    }
    if (this.#calls.some((call) => call.id === id)) {
      throw new ModelError("malformed", "The model's stream held two tool calls with the same id.");
    }
  }

  #apply(open: OpenBlock, delta: Delta): void {
    if (DELTAS_OF.get(open.block.type)?.includes(delta.type) === false) {
      throw new ModelError(
        "malformed",
        `The model's stream held a ${delta.type} for a block of type ${open.block.type}.`,
      );
    }
    switch (delta.type) {
      case "text_delta":
        this.#addText(open, "text", delta.text);
        break;
      case "thinking_delta":
        this.#addText(open, "thinking", delta.thinking);
        break;
      case "signature_delta":
        if (delta.signature === "") break;
        open.block["signature"] = `${textOf(open.block, "signature")}${delta.signature}`;
        this.#grow(delta.signature);
        break;
      case "input_json_delta":
        if (delta.partial_json === "") break;
        open.json += delta.partial_json;
        this.#grow(delta.partial_json);
        this.#countStreamed(delta.partial_json);
        break;
      case "citations_delta":
        open.block["citations"] = [...citationList.parse(open.block["citations"]), delta.citation];
        this.#grow(delta.citation);
        break;
    }
  }

  #addText(open: OpenBlock, field: "text" | "thinking", piece: string): void {
    open.block[field] = `${textOf(open.block, field)}${piece}`;
    if (piece === "") return;
    this.#grow(piece);
    this.#countStreamed(piece);
    open.writer ??= field === "text" ? this.#store.openText() : this.#store.openThinking();
    open.writer.append(piece);
  }

  #close(open: OpenBlock): void {
    this.#open = null;
    const { block, writer } = open;
    // Half a character that nothing followed would make the API refuse every request that holds it.
    for (const field of ["text", "thinking"]) {
      if (typeof block[field] === "string") block[field] = block[field].toWellFormed();
    }
    for (const citation of citationList.parse(block["citations"])) writer?.addCitation(citation);
    writer?.end();
    // Server tools have their input as deltas too, though nothing is run for them here.
    if (open.json !== "") block["input"] = parseInput(open.json) ?? {};
    this.#content.push(block);
    if (block.type === "tool_use") {
      const input = open.json === "" ? (block["input"] ?? {}) : parseInput(open.json);
      this.#calls.push({ id: textOf(block, "id"), name: textOf(block, "name"), input });
    }
  }

  #countStreamed(piece: string): void {
    this.#streamedBytes += bytesOf(piece);
  }

  /** Counts what a value takes in the message's row. */
  #grow(value: unknown): void {
    this.#bytes += bytesOf(JSON.stringify(value));
    if (this.#bytes > MESSAGE_MAX_BYTES) {
      throw new ModelError("output_too_large", `The model's message takes more than ${MESSAGE_MAX_BYTES} bytes.`, {
        status: 200,
      });
    }
  }
}

function textOf(block: ContentBlock, field: string): string {
  const value = block[field];
  return typeof value === "string" ? value : "";
}

function isSigned(block: ContentBlock): boolean {
  return block.type === "redacted_thinking" || (block.type === "thinking" && textOf(block, "signature") !== "");
}

/** A tool's input is an object; anything else, JSON that does not parse, and what is nested too deep, is undefined. */
function parseInput(json: string): unknown {
  try {
    const value: unknown = JSON.parse(json, (_, inner: unknown) =>
      typeof inner === "string" ? inner.toWellFormed() : inner,
    );
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject && !isTooDeep(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function mergeUsage(before: UsageUpdate, update: UsageUpdate): UsageUpdate {
  const given = Object.entries(update).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(given) };
}

function toUsage(update: UsageUpdate): Usage {
  return {
    input_tokens: update.input_tokens ?? NO_USAGE.input_tokens,
    output_tokens: update.output_tokens ?? NO_USAGE.output_tokens,
    cache_read_input_tokens: update.cache_read_input_tokens ?? NO_USAGE.cache_read_input_tokens,
    cache_creation_input_tokens: update.cache_creation_input_tokens ?? NO_USAGE.cache_creation_input_tokens,
  };
}
