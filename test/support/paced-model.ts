import type { ContextWindow, Model, ModelError, ModelRequest, ThinkingKind } from "../../src/engine/ports.ts";
import { answer } from "./hand-model.ts";
import { text } from "./messages-script.ts";

type Call = {
  events: readonly unknown[] | null;
  /** How many of the events may go out. */
  allowed: number;
  /** What the call ends with, once its events are out. */
  end: "none" | "cut" | ModelError;
  changed: PromiseWithResolvers<void>;
  /** Nobody hears it any more once this is aborted. */
  signal: AbortSignal;
  /** It can say nothing until it is told to. */
  waits: boolean;
};

/** A model that speaks when it is told to, event by event; nothing of it moves by itself until it is let go. */
export class PacedModel implements Model {
  /** Called with each request, in the moment in which it is made. */
  onRequest: (request: ModelRequest) => void = () => {};
  #call: Call | null = null;
  #free = false;

  thinking(model: string): ThinkingKind {
    return model === "main" ? "adaptive" : "none";
  }

  maxTokens(): { usual: number; highest: number } {
    return { usual: 1_000, highest: 4_000 };
  }

  window(): ContextWindow | null {
    return null;
  }

  /** Whether the call under way has not been given its answer. */
  get asked(): boolean {
    return this.#call !== null && this.#call.events === null;
  }

  /** Whether a call that somebody hears can say nothing until it is told to. */
  get waits(): boolean {
    return this.#call?.waits === true && !this.#call.signal.aborted;
  }

  /** Whoever heard the call under way is gone. */
  leave(): void {
    if (this.#call !== null) this.#call.signal = AbortSignal.abort();
  }

  /** Gives the call under way its answer, of which so many events go out. */
  answer(events: readonly unknown[], allowed: number): void {
    if (this.#call === null || this.#call.events !== null) return;
    this.#call.events = events;
    this.#allow(this.#call, allowed);
  }

  /** Lets more of the answer out. */
  advance(count: number): void {
    if (this.#call !== null) this.#allow(this.#call, this.#call.allowed + count);
  }

  /** Ends the call under way where it stands. */
  end(how: "cut" | ModelError): void {
    if (this.#call === null) return;
    this.#call.end = how;
    this.#allow(this.#call, 0);
  }

  /** From here on it answers whatever it is asked. */
  letGo(): void {
    this.#free = true;
    if (this.#call !== null) this.#finish(this.#call);
  }

  #finish(call: Call): void {
    call.events ??= answer([text("Done.")]);
    this.#allow(call, Number.POSITIVE_INFINITY);
  }

  #allow(call: Call, allowed: number): void {
    call.allowed = allowed;
    call.waits = false;
    call.changed.resolve();
    call.changed = Promise.withResolvers<void>();
  }

  async *stream(request: ModelRequest, { signal }: { signal: AbortSignal }): AsyncGenerator<unknown> {
    this.onRequest(structuredClone(request));
    const changed = Promise.withResolvers<void>();
    const call: Call = { events: null, allowed: 0, end: "none", changed, signal, waits: false };
    this.#call = call;
    if (this.#free) this.#finish(call);
    // No model answers in the moment in which it is asked.
    await Promise.resolve();
    for (let sent = 0; ; ) {
      if (call.events !== null && sent < Math.min(call.allowed, call.events.length)) {
        yield call.events[sent++];
        continue;
      }
      if (call.events?.length === sent || call.end === "cut") break;
      if (call.end !== "none") throw call.end;
      call.waits = true;
      await call.changed.promise;
    }
    if (this.#call === call) this.#call = null;
  }
}
