import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DeadlineExceeded, withDeadline } from "../../src/timing/deadline.ts";
import { sleep } from "../../src/timing/sleep.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // Nothing is left behind.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("[TOOL13] a sleep takes its time", async () => {
  const { signal } = new AbortController();
  let awake = false;
  const sleeping = sleep(1_000, signal).then(() => {
    awake = true;
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(awake).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await sleeping;
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("[TOOL13] a sleep ends at once when its signal is aborted", async () => {
  const stop = new AbortController();
  const sleeping = sleep(1_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(sleeping).rejects.toThrow("enough");
  await expect(sleep(1_000, stop.signal)).rejects.toThrow("enough");
});

test("[TOOL12] work that ends in time is as if nothing had watched it; other work is given up", async () => {
  await expect(withDeadline(Promise.resolve(1), 1_000)).resolves.toBe(1);
  const failure = new Error("failed");
  await expect(withDeadline(Promise.reject(failure), 1_000)).rejects.toBe(failure);
  const work = Promise.withResolvers<never>();
  const waiting = expect(withDeadline(work.promise, 1_000)).rejects.toBeInstanceOf(DeadlineExceeded);
  await vi.advanceTimersByTimeAsync(1_000);
  await waiting;
  // Were this unhandled, the run of the tests would fail.
  work.reject(new Error("too late"));
});
