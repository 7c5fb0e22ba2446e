import { type ErrorCode, GatewayError } from "../protocol/errors.ts";
import { sleep } from "../timing/sleep.ts";
import { Backoff } from "./backoff.ts";

export type InsistOptions = {
  signal: AbortSignal;
  /** How long to go on while nothing but such errors comes. */
  giveUpAfterMs: number;
  /** The errors after which to ask again. */
  after?: readonly ErrorCode[];
};

/** Asks until there is an answer: again at once where it is null, after a pause where no gateway answered. */
export async function insist<T>(options: InsistOptions, ask: () => Promise<T | null>): Promise<T> {
  const { signal, giveUpAfterMs, after = ["unavailable"] } = options;
  const backoff = new Backoff(giveUpAfterMs);
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== null) return answer;
      backoff.progress();
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof GatewayError && after.includes(thrown.code))) throw thrown;
      const pause = backoff.pause(Date.now());
      if (pause === null) throw thrown;
      await sleep(pause, signal);
    }
  }
}
