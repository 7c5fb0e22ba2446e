import { env } from "cloudflare:workers";
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

/** For this test, no read of a blob goes on before `count` of them have begun. */
export function gatherBlobReads(count: number): void {
  const bucket: R2Bucket = Object.getPrototypeOf(env.BLOBS);
  const get = bucket.get;
  const gathered = Promise.withResolvers<void>();
  let begun = 0;
  const spy = vi.spyOn(bucket, "get").mockImplementation(async function (this: R2Bucket, key) {
    begun += 1;
    if (begun === count) gathered.resolve();
    await gathered.promise;
    return get.call(this, key);
  });
  onTestFinished(() => spy.mockRestore());
}
