import { onTestFinished, vi } from "vitest";

/**
 * A clock for this test that can be put forward. The object under test shares its globals with the test, so it sees the
 * same; timers take their real time.
 */
export function useClock() {
  const now = Date.now;
  let ahead = 0;
  const spy = vi.spyOn(Date, "now").mockImplementation(() => now() + ahead);
  onTestFinished(() => spy.mockRestore());
  return {
    putForward(ms: number): void {
      ahead += ms;
    },
  };
}

/** Chance is the same every time for this test: the waits between attempts are the shortest that they can be. */
export function useLeastChance(): void {
  const spy = vi.spyOn(Math, "random").mockReturnValue(0);
  onTestFinished(() => spy.mockRestore());
}
