import { GatewayError } from "../../src/protocol/errors.ts";

/** A check that did not hold, in words. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What was thrown in a run, as what did not hold: nothing else may fail either. */
export function violationsIn(thrown: unknown): string[] {
  if (thrown instanceof Violation) return thrown.message.split("\n");
  return [thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)];
}

/** Lets requests through while the host is up, and repeats those that broke off because it was killed. */
export class Gate {
  /** Kills so far. */
  kills = 0;
  #open: { promise: Promise<void>; resolve: () => void } = Promise.withResolvers<void>();
  #isOpen = false;
  #failed: { promise: Promise<never>; reject: (reason: unknown) => void } = Promise.withResolvers<never>();

  constructor() {
    this.#failed.promise.catch(() => {});
  }

  /** Rejects once the run has failed anywhere. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  fail(reason: unknown): void {
    this.#failed.reject(reason);
  }

  open(): void {
    this.#isOpen = true;
    this.#open.resolve();
  }

  close(): void {
    this.#isOpen = false;
    this.#open = Promise.withResolvers<void>();
    this.kills++;
  }

  /** The answer to a request that may be repeated. @throws what the gateway refuses it with */
  async request<T>(send: () => Promise<T>): Promise<T> {
    for (;;) {
      if (!this.#isOpen) await Promise.race([this.#open.promise, this.failed]);
      const { kills } = this;
      try {
        return await Promise.race([send(), this.failed]);
      } catch (thrown) {
        if (kills === this.kills) {
          // A kill is seen here a moment later than by the request.
          if (!(thrown instanceof GatewayError && thrown.code === "unavailable")) throw thrown;
          await Promise.race([new Promise((resolve) => setTimeout(resolve, 50)), this.failed]);
        } else if (thrown instanceof Violation) throw thrown;
      }
    }
  }
}
