/** What a timer of the platform can wait at most. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Waits for `work`, and keeps the process alive meanwhile: nothing of an idle session does. What is given up by an abort
 * goes on by itself.
 *
 * @throws what `work` throws, or the signal's reason
 */
export async function awaited<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Handled here, so that work that fails after it was given up is no unhandled rejection.
  work.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const alive = setInterval(() => undefined, LONGEST_MS);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    clearInterval(alive);
    signal.removeEventListener("abort", onAbort);
  }
}

/** The same for each step of an iteration. */
export async function* awaitedEach<T>(source: AsyncGenerator<T>, signal: AbortSignal): AsyncGenerator<T> {
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await awaited(source.next(), signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a step that was given up may not have come to its end.
    source.return(undefined).catch(() => undefined);
  }
}
