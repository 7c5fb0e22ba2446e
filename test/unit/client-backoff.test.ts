import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff } from "../../src/client/backoff.ts";

test("[CLI8] pauses grow, stay bounded, and end after the time without progress", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (chance) => {
      const backoff = new Backoff(60_000, () => chance);
      let now = 1_000;
      let before = 0;
      let pause = backoff.pause(now);
      while (pause !== null) {
        expect(pause).toBeGreaterThan(0);
        expect(pause).toBeGreaterThanOrEqual(before);
        expect(pause).toBeLessThanOrEqual(2_000);
        before = pause;
        now += pause;
        pause = backoff.pause(now);
      }
      expect(now - 1_000).toBeGreaterThanOrEqual(60_000);
      expect(now - 1_000).toBeLessThan(62_000);
    }),
  );
});

test("[CLI8] progress starts the count again", () => {
  const backoff = new Backoff(1_000, () => 0);
  expect(backoff.pause(0)).toBe(100);
  expect(backoff.pause(900)).toBe(200);
  backoff.progress();
  expect(backoff.pause(5_000)).toBe(100);
  expect(backoff.pause(6_000)).toBeNull();
});
