import { withDeadline } from "../timing/deadline.ts";
import { sleep as sleepUnlessAborted } from "../timing/sleep.ts";

/** Thrown when the turn was cancelled or its session goes away. It escapes every broad catch. */
export class Aborted extends Error {
  override readonly name = "Aborted";
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
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Aborted());
  signal.addEventListener("abort", onAbort, { once: true });
  const waiting = Promise.race([work, aborted]);
  try {
    return await (ms === undefined ? waiting : withDeadline(waiting, ms));
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits `ms` milliseconds. @throws Aborted */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await sleepUnlessAborted(ms, signal).catch(() => {
    throw new Aborted();
  });
}
