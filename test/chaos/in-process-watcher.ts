import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { Seen, Watcher } from "./host.ts";
import type { InProcessChild } from "./in-process-child.ts";

type Ended = { why: unknown };

/** Follows a session in one process after the other, each from the cursor at which the one before was lost. */
export class InProcessWatcher implements Watcher {
  readonly how: string;
  readonly sessionId: string;
  readonly seen: Seen[] = [];
  reconnects = -1;
  readonly #onStop: (watcher: InProcessWatcher) => Promise<void>;
  #cursor = "0";
  /** Nothing more comes. */
  #ended: Ended | null = null;
  #heard = Promise.withResolvers<void>();

  constructor(how: string, sessionId: string, onStop: (watcher: InProcessWatcher) => Promise<void>) {
    this.how = how;
    this.sessionId = sessionId;
    this.#onStop = onStop;
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  /** Follows in this process until that dies. */
  follow(child: InProcessChild): void {
    this.reconnects++;
    const deed = { do: "watch", sessionId: this.sessionId, after: this.#cursor } as const;
    child
      .ask(deed, (event) => this.#see(event))
      .catch((thrown: unknown) => {
        if (!hasCode(thrown, "unavailable")) this.end(thrown);
      });
  }

  async until(test: (event: Event) => boolean): Promise<Event> {
    for (let at = 0; ; at++) {
      while (at >= this.seen.length) await this.#more();
      const event = this.seen[at]?.event;
      if (event !== undefined && test(event)) return event;
    }
  }

  async stop(seq: number): Promise<void> {
    const hasIt = () => seq <= 0 || this.seen.some(({ event }) => event.seq >= seq);
    try {
      while (!hasIt()) await this.#more();
    } catch (thrown) {
      // Of a session that was deleted no more can be had.
      if (!hasCode(thrown, "not_found")) throw thrown;
    } finally {
      this.end(new Error("The watcher was stopped."));
      await this.#onStop(this);
    }
  }

  end(why: unknown): void {
    this.#ended ??= { why };
    this.#hear();
  }

  #see(event: Event): void {
    if (this.ended) return;
    this.#cursor = event.cursor;
    this.seen.push({ event, at: Date.now() });
    this.#hear();
  }

  #hear(): void {
    const { resolve } = this.#heard;
    this.#heard = Promise.withResolvers();
    resolve();
  }

  /** @throws why no more comes */
  async #more(): Promise<void> {
    if (this.#ended !== null) throw this.#ended.why;
    await this.#heard.promise;
  }
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof GatewayError && thrown.code === code;
}
