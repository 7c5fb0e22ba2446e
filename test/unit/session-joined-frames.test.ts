import fc from "fast-check";
import { expect, test } from "vitest";
import { JoinedFrames } from "../../src/session/joined-frames.ts";

test("[LOG4] [WS16] events that go together go once and in order, and a frame is acknowledged by its last event", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 })), fc.nat({ max: 100 }), (sizes, atLeast) => {
      const sent: { cursor: string; json: string; bytes: number }[] = [];
      const frames = new JoinedFrames(atLeast, (cursor, json, bytes) => sent.push({ cursor, json, bytes }) > 0);
      for (const [index, bytes] of sizes.entries()) {
        expect(frames.add({ type: "TEXT", turn_id: null, cursor: `${index}`, json: `{"${index}":0}`, bytes })).toBe(
          true,
        );
      }
      expect(frames.flush()).toBe(true);
      const events = sent.flatMap(({ json }) => json.split("\n"));
      expect(events).toEqual(sizes.map((_, index) => `{"${index}":0}`));
      for (const { cursor, json } of sent) expect(json.endsWith(`{"${cursor}":0}`)).toBe(true);
      for (const { bytes } of sent.slice(0, -1)) expect(bytes).toBeGreaterThanOrEqual(atLeast);
      expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(sizes.reduce((sum, size) => sum + size, 0));
    }),
  );
});

test("[LOG7] what a client that is gone would get is dropped", () => {
  const frames = new JoinedFrames(10, () => false);
  const event = { type: "TEXT" as const, turn_id: null, cursor: "1", json: "{}", bytes: 9 };
  expect(frames.add(event)).toBe(true);
  expect(frames.add(event)).toBe(false);
  expect(frames.flush()).toBe(true);
});
