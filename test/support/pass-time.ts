import { vi } from "vitest";

/** Lets fake time pass, timer by timer, until a promise settles. */
export async function passTimeUntil<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  while (!settled) await vi.advanceTimersToNextTimerAsync();
  return promise;
}
