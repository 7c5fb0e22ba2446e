import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Aborted, abortable, sleep } from "../../src/engine/abortable.ts";
import { DeadlineExceeded } from "../../src/timing/deadline.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Nothing is left behind: no timer, and no listener on a signal that may live much longer. */
function expectNothingLeft({ signal }: AbortController): void {
  expect(vi.getTimerCount()).toBe(0);
  expect(getEventListeners(signal, "abort")).toEqual([]);
}

test("[TURN18] work that ends in time is as if nothing had watched it", async () => {
  const abort = new AbortController();
  await expect(abortable(Promise.resolve(1), abort.signal, 1_000)).resolves.toBe(1);
  const failure = new Error("failed");
  await expect(abortable(Promise.reject(failure), abort.signal, 1_000)).rejects.toBe(failure);
  expectNothingLeft(abort);
});

test("[TURN18] a cancel ends the wait for work that does not heed it, however that ends later", async () => {
  const abort = new AbortController();
  const work = Promise.withResolvers<never>();
  const waiting = abortable(work.promise, abort.signal, 1_000);
  abort.abort();
  await expect(waiting).rejects.toBeInstanceOf(Aborted);
  expectNothingLeft(abort);
  // Were this unhandled, the run of the tests would fail.
  work.reject(new Error("too late"));
});

test("[TURN18] what was cancelled before does not begin to wait", async () => {
  const abort = new AbortController();
  abort.abort();
  await expect(abortable(Promise.reject(new Error("too late")), abort.signal)).rejects.toBeInstanceOf(Aborted);
  await expect(sleep(1_000, abort.signal)).rejects.toBeInstanceOf(Aborted);
  expectNothingLeft(abort);
});

test("[TOOL12] work has a deadline", async () => {
  const abort = new AbortController();
  const waiting = expect(abortable(new Promise(() => {}), abort.signal, 1_000)).rejects.toBeInstanceOf(
    DeadlineExceeded,
  );
  await vi.advanceTimersByTimeAsync(1_000);
  await waiting;
  expectNothingLeft(abort);
});

test("[MODEL5] a sleep takes its time, unless it is cancelled", async () => {
  const abort = new AbortController();
  let awake = false;
  const sleeping = sleep(1_000, abort.signal).then(() => {
    awake = true;
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(awake).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await sleeping;
  const cancelled = expect(sleep(1_000, abort.signal)).rejects.toBeInstanceOf(Aborted);
  abort.abort();
  await cancelled;
  expectNothingLeft(abort);
});
