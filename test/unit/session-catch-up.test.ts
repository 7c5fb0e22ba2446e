import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ACK_EVERY_BYTES,
  CATCH_UP_SOCKETS_MAX,
  CATCH_UP_WINDOW_BYTES,
  NEVER_ACKED_MAX_BYTES,
  NEVER_ACKED_TOTAL_MAX_BYTES,
  UNACKED_MAX_BYTES,
} from "../../src/protocol/limits.ts";
import { dueAt, nextLook, roomToBegin, type Standing, windowOf } from "../../src/session/catch-up.ts";
import { neverAckedLimit, SocketMeter } from "../../src/session/socket-meter.ts";

const NOW = 1_000_000;
const standing = (about: Partial<Standing>): Standing => ({
  acknowledges: true,
  unacked: 0,
  beganAt: NOW,
  movedAt: NOW,
  ...about,
});

describe("a socket that is behind", () => {
  test("[WS16] is sent up to its window as it acknowledges", () => {
    expect(dueAt(standing({ unacked: CATCH_UP_WINDOW_BYTES - 1 }))).toBeLessThanOrEqual(NOW);
    expect(dueAt(standing({ unacked: CATCH_UP_WINDOW_BYTES }))).toBe(NOW + 5_000);
    expect(windowOf(standing({ unacked: 100 }))).toBe(CATCH_UP_WINDOW_BYTES - 100);
    // What our clients take before they say so leaves room for more: neither side waits for the other.
    expect(ACK_EVERY_BYTES * 2).toBeLessThanOrEqual(CATCH_UP_WINDOW_BYTES);
  });

  test("[WS16] is sent a window by the clock if it never acknowledged, or stopped", () => {
    expect(dueAt(standing({ acknowledges: false, unacked: 10 }))).toBe(NOW + 50);
    expect(windowOf(standing({ acknowledges: false, unacked: 10 }))).toBe(CATCH_UP_WINDOW_BYTES);
    expect(windowOf(standing({ unacked: 2 * CATCH_UP_WINDOW_BYTES }))).toBe(CATCH_UP_WINDOW_BYTES);
  });

  test("[WS17] waits for its turn where many begin at once, a second at most for those who take nothing", () => {
    const begun = Array.from({ length: CATCH_UP_SOCKETS_MAX }, (_, i) => standing({ beganAt: NOW + i }));
    const waiting = standing({ beganAt: null });
    expect(roomToBegin(begun.slice(1), NOW + 100)).toBe(1);
    expect(roomToBegin([...begun, waiting], NOW + 100)).toBe(0);
    expect(nextLook([...begun.map((one) => ({ ...one, unacked: CATCH_UP_WINDOW_BYTES })), waiting], NOW + 100)).toBe(
      NOW + 1_000,
    );
    expect(roomToBegin([...begun, waiting], NOW + 1_000)).toBe(1);
    expect(nextLook([], NOW)).toBeNull();
  });

  test("[WS16] is looked at again, whatever it is like", () => {
    const any = fc.record({
      acknowledges: fc.boolean(),
      unacked: fc.nat({ max: UNACKED_MAX_BYTES }),
      beganAt: fc.option(fc.integer({ min: NOW - 5_000, max: NOW })),
      movedAt: fc.integer({ min: NOW - 5_000, max: NOW }),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 200 }), (standings) => {
        const next = Math.max(NOW, nextLook(standings, NOW) ?? Number.POSITIVE_INFINITY);
        expect(next).toBeLessThanOrEqual(NOW + 5_000);
        const waiting = standings.some(({ beganAt }) => beganAt === null);
        const due = standings.some((one) => one.beganAt !== null && dueAt(one) <= next);
        expect(due || (waiting && roomToBegin(standings, next) > 0)).toBe(true);
      }),
    );
  });
});

describe("a client's meter", () => {
  test("[WS14] counts what went past a silent client, and forgets it when the client says something", () => {
    const meter = new SocketMeter(true);
    meter.count("1", CATCH_UP_WINDOW_BYTES);
    expect(meter.isFull).toBe(true);
    expect(meter.miss(UNACKED_MAX_BYTES - CATCH_UP_WINDOW_BYTES)).toBe(true);
    expect(meter.miss(1)).toBe(false);
    meter.acknowledge("1");
    expect([meter.isFull, meter.unacked, meter.miss(UNACKED_MAX_BYTES)]).toEqual([false, 0, true]);
  });

  test("[WS14] takes answers for taken when the event before them is acknowledged", () => {
    const meter = new SocketMeter(true);
    meter.count("1", 10);
    for (let i = 0; i < 1_000; i++) {
      expect(meter.count(null, 8 * 1_024)).toBe(true);
      meter.acknowledge("1");
    }
  });

  test("[WS14] begins anew on wake: an ack of what was sent before is no news, one of what came since is", () => {
    const meter = new SocketMeter(true);
    meter.acknowledge("50");
    for (let seq = 100; seq < 200; seq++) {
      expect(meter.count(`${seq}`, 100 * 1_024)).toBe(true);
      if (seq % 10 === 0) meter.acknowledge(`${seq}`);
    }
    const asleep = new SocketMeter(false);
    asleep.acknowledge("nonsense");
    expect(asleep.acknowledges).toBe(true);
  });

  test("[WS17] those that never acknowledged anything share what may be held for them", () => {
    expect([1, 2, 4, 16, 1_000].map(neverAckedLimit)).toEqual([
      NEVER_ACKED_MAX_BYTES,
      NEVER_ACKED_MAX_BYTES,
      NEVER_ACKED_TOTAL_MAX_BYTES / 4,
      UNACKED_MAX_BYTES,
      UNACKED_MAX_BYTES,
    ]);
    const meter = new SocketMeter(false, () => 8);
    expect(meter.count("1", NEVER_ACKED_TOTAL_MAX_BYTES / 8)).toBe(true);
    expect(meter.count("2", 1)).toBe(false);
  });
});
