import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NEVER_ACKED_MAX_BYTES, UNACKED_MAX_BYTES } from "../../src/protocol/limits.ts";
import { SocketMeter } from "../../src/session/socket-meter.ts";

const KIB = 1_024;
/** Positions are remembered so far apart, and with them what is not yet known to be taken. */
const SLACK = 64 * KIB;

/** Sends frames of 32 KiB, one a seq, from `first` on, until the meter refuses one; returns its seq. */
function sendUntilRefused(meter: SocketMeter, first = 1): number {
  let seq = first;
  while (meter.count(`${seq}`, 32 * KIB)) seq++;
  return seq;
}

describe("a client", () => {
  test("[WS14] that never acknowledged may be 32 MiB behind", () => {
    expect(sendUntilRefused(new SocketMeter())).toBe(NEVER_ACKED_MAX_BYTES / (32 * KIB) + 1);
  });

  test("[WS14] that acknowledged once may be 4 MiB behind that", () => {
    const meter = new SocketMeter();
    for (let seq = 1; seq <= 100; seq++) meter.count(`${seq}`, 32 * KIB);
    meter.acknowledge("100");
    const behind = (sendUntilRefused(meter, 101) - 101) * 32 * KIB;
    expect(behind).toBeGreaterThan(UNACKED_MAX_BYTES - SLACK);
    expect(behind).toBeLessThanOrEqual(UNACKED_MAX_BYTES);
  });

  test("[WS14] is as far as it said, inside a block too", () => {
    const send = (acks: string[]) => {
      const meter = new SocketMeter();
      for (let offset = 1; offset <= 100; offset++) meter.count(`7~7.${offset}`, 32 * KIB);
      meter.count("7", 32 * KIB);
      for (const cursor of acks) meter.acknowledge(cursor);
      return sendUntilRefused(meter, 8) - 8;
    };
    const frames = UNACKED_MAX_BYTES / (32 * KIB);
    expect(send(["7~7.50"])).toBeGreaterThanOrEqual(frames - 51 - 2);
    expect(send(["7~7.50"])).toBeLessThanOrEqual(frames - 51);
    expect(send(["7"])).toBeGreaterThanOrEqual(frames - 2);
    // What was said before is not taken back, and what makes no sense says nothing.
    expect(send(["7", "7~7.50", "3", "nonsense"])).toBe(send(["7"]));
  });

  test("[WS14] that acknowledges all that it gets is never too far behind, however little each frame has", () => {
    const frame = fc.record({ bytes: fc.integer({ min: 1, max: 300_000 }), acked: fc.boolean() });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 200 }), (frames) => {
        const meter = new SocketMeter();
        let unacked = 0;
        for (const [i, { bytes, acked }] of frames.entries()) {
          unacked += bytes;
          if (unacked < UNACKED_MAX_BYTES - SLACK) expect(meter.count(`${i + 1}`, bytes)).toBe(true);
          else meter.count(`${i + 1}`, bytes);
          if (!acked) continue;
          meter.acknowledge(`${i + 1}`);
          unacked = 0;
        }
      }),
    );
  });
});
