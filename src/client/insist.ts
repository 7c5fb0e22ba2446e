import { type ErrorCode, GatewayError } from "../protocol/errors.ts";
import { sleep } from "../timing/sleep.ts";
import { Backoff } from "./backoff.ts";

export type InsistOptions = {
  signal: AbortSignal;
  /** How long to go on while nothing but such errors comes. */
  giveUpAfterMs: number;
  /** The errors after which to ask again. */
  after?: readonly ErrorCode[];
  /** A question without an answer for so long was lost on its way; by default there is no end to waiting. */
  lostAfterMs?: number;
};

/**
 * Asks until there is an answer: again at once where it is null, after a pause where no gateway answered. A question
 * may have arrived although its answer did not.
 */
export async function insist<T>(options: InsistOptions, ask: (signal: AbortSignal) => Promise<T | null>): Promise<T> {
  const { signal, giveUpAfterMs, after = ["unavailable"], lostAfterMs } = options;
  const backoff = new Backoff(giveUpAfterMs);
  for (;;) {
    const lost = lostAfterMs === undefined ? null : AbortSignal.timeout(lostAfterMs);
    try {
      const answer = await ask(lost === null ? signal : AbortSignal.any([signal, lost]));
      if (answer !== null) return answer;
      backoff.progress();
    } catch (thrown) {
      signal.throwIfAborted();
      const isLost = lost?.aborted === true && thrown === lost.reason;
      if (!isLost && !(thrown instanceof GatewayError && after.includes(thrown.code))) throw thrown;
      const pause = backoff.pause(Date.now());
      if (pause === null) throw isLost ? new GatewayError("unavailable", "The gateway does not answer.") : thrown;
      await sleep(pause, signal);
    }
  }
}
