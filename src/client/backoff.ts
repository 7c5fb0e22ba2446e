import { type Pauses, pauseAfter } from "../timing/pause-after.ts";

const PAUSES: Pauses = { firstMs: 200, longestMs: 2_000 };

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
   * After a failure at `now`: milliseconds to pause before the next try; null when it has failed for too long.
   */
  pause(now: number): number | null {
    this.#failingSince ??= now;
    if (now - this.#failingSince >= this.#giveUpAfterMs) return null;
    return pauseAfter(this.#failures++, PAUSES, this.#random);
  }
}
