import type { CallOptions } from "../client/gateway.ts";
import { GatewayError, toGatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import { awaited, awaitedEach } from "./awaited.ts";

/**
 * What is under way through a gateway in this process. It keeps the process alive, ends with its caller's signal or with
 * the gateway, and throws what a caller may see.
 */
export class GatewayCalls {
  readonly #closing = new AbortController();

  /** @throws why it was closed, once it was */
  throwIfClosed(): void {
    this.#closing.signal.throwIfAborted();
  }

  close(why: GatewayError): void {
    this.#closing.abort(why);
  }

  async one<T>(options: CallOptions, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = this.#signal(options);
    signal.throwIfAborted();
    try {
      return await awaited(run(signal), signal);
    } catch (thrown) {
      throw outgoing(thrown, signal);
    }
  }

  async *each(options: CallOptions, open: (signal: AbortSignal) => AsyncGenerator<Event>): AsyncGenerator<Event> {
    const signal = this.#signal(options);
    try {
      yield* awaitedEach(open(signal), signal);
    } catch (thrown) {
      throw outgoing(thrown, signal);
    }
  }

  #signal({ signal }: CallOptions): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal]);
  }
}

/** What a caller is thrown: what was aborted says why, and what nobody foresaw is only logged. */
function outgoing(thrown: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (!(thrown instanceof GatewayError)) console.error("gateway:", thrown);
  return toGatewayError(thrown);
}
