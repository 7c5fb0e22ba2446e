/** The first pause is at most this long, and each one twice the one before, up to the longest. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

/** How long to pause between tries, and when to stop trying. Knows no clock. */
export class Backoff {
  readonly #giveUpAfterMs: number;
  readonly #random: () => number;
  #failingSince: number | null = null;
  #failures = 0;

  constructor(giveUpAfterMs: number, random: () => number = Math.random) {
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#random = random;
  }

  /** Something worked: the next failure is the first one. */
  progress(): void {
    this.#failingSince = null;
    this.#failures = 0;
  }

  /**
   * After a failure at `now`: milliseconds to pause before the next try, half of them left to chance so that many
   * clients of one gateway do not come back together; null when it has failed for too long.
   */
  pause(now: number): number | null {
    this.#failingSince ??= now;
    if (now - this.#failingSince >= this.#giveUpAfterMs) return null;
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, LONGEST_PAUSE_MS);
    return (longest * (1 + this.#random())) / 2;
  }
}

/** Resolves after `ms`. @throws the signal's reason when it is aborted before */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
