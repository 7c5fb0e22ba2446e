/** Thrown when the turn was cancelled or its session goes away. It escapes every broad catch. */
export class Aborted extends Error {
  override readonly name = "Aborted";
}

/** Thrown when something outside took longer than its deadline. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

/**
 * Waits for `work`, but no longer than until `signal` aborts or `ms` have passed. Work that does not heed its own
 * signal goes on by itself; its outcome is then ignored.
 *
 * @throws Aborted, DeadlineExceeded, or what `work` throws
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal, ms?: number): Promise<T> {
  // Handled here, so that work that fails after it was given up is no unhandled rejection.
  work.catch(() => {});
  if (signal.aborted) throw new Aborted();
  let onAbort: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const givenUp = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Aborted());
    signal.addEventListener("abort", onAbort, { once: true });
    if (ms !== undefined) timer = setTimeout(() => reject(new DeadlineExceeded(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    if (timer !== undefined) clearTimeout(timer);
  }
}

/** Waits `ms` milliseconds. @throws Aborted */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const work = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await abortable(work, signal);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
