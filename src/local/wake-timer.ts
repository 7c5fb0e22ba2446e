/** What a timer of the platform can wait at most; whoever is woken early looks again. */
const LONGEST_MS = 2 ** 31 - 1;

/** The one alarm of a session in a process. It does not keep the process alive: a session goes on when it is opened. */
export class WakeTimer {
  readonly #wake: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** `wake` must not throw. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Wakes at `time` (ms since the epoch) or earlier. */
  wakeAt(time: number): void {
    if (time >= this.#at || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#at = time;
    const waitMs = Math.min(Math.max(time - Date.now(), 0), LONGEST_MS);
    this.#timer = setTimeout(() => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#wake();
    }, waitMs).unref();
  }

  /** Wakes nobody any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
