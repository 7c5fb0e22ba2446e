import {
  type ContextWindow,
  type Model,
  ModelError,
  type ModelRequest,
  type ThinkingKind,
} from "../../src/engine/ports.ts";
import { type BlockSpec, eventData, type MessageOptions, message } from "./messages-script.ts";

type Call = { signal: AbortSignal; attempt: number };

/** What one call of the model gives: its events, or what it does to give them. */
export type Reply =
  | readonly unknown[]
  | ((request: ModelRequest, call: Call) => Iterable<unknown> | AsyncIterable<unknown>);

/** The events of a whole message. */
export function answer(blocks: BlockSpec[], options: MessageOptions = {}): unknown[] {
  return eventData(message(blocks, options));
}

/** A call that fails before its first event. */
export function fails(code: string, options: ConstructorParameters<typeof ModelError>[2] = {}): Reply {
  return () => {
    throw new ModelError(code, `The test fails the call with ${code}.`, options);
  };
}

/** A model that gives the replies that it was handed, one a call, and keeps what it was asked. */
export class HandModel implements Model {
  readonly requests: ModelRequest[] = [];
  readonly attempts: number[] = [];
  readonly #replies: Reply[];
  readonly #kinds: Record<string, ThinkingKind>;
  readonly #window: ContextWindow | null;

  /** `kinds`: how the models of these names think; others do not. `window`: what all of them take, if it is known. */
  constructor(replies: Reply[], kinds: Record<string, ThinkingKind> = {}, window: ContextWindow | null = null) {
    this.#replies = replies;
    this.#kinds = kinds;
    this.#window = window;
  }

  thinking(model: string): ThinkingKind {
    return this.#kinds[model] ?? "none";
  }

  maxTokens(): { usual: number; highest: number } {
    return { usual: 1_000, highest: 4_000 };
  }

  window(): ContextWindow | null {
    return this.#window;
  }

  async *stream(request: ModelRequest, call: Call): AsyncGenerator<unknown> {
    this.requests.push(structuredClone(request));
    this.attempts.push(call.attempt);
    // No model answers in the moment in which it is asked.
    await Promise.resolve();
    const reply = this.#replies[this.requests.length - 1];
    if (reply === undefined) throw new ModelError("configuration", "The test has no reply for this call.");
    yield* typeof reply === "function" ? reply(request, call) : reply;
  }
}
