import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ACK_EVERY_BYTES,
  CATCH_UP_SOCKETS_MAX,
  CATCH_UP_WINDOW_BYTES,
  NEVER_ACKED_MAX_BYTES,
  NEVER_ACKED_TOTAL_MAX_BYTES,
  UNACKED_MAX_BYTES,
} from "../../src/protocol/limits.ts";
import {
  type BehindSocket,
  CatchUp,
  dueAt,
  isFull,
  nextLook,
  roomToBegin,
  windowOf,
} from "../../src/session/catch-up.ts";
import { neverAckedLimit, SocketMeter } from "../../src/session/socket-meter.ts";

const NOW = 1_000_000;

function behind(
  { acknowledges = true, unacked = 0 } = {},
  times: Partial<Pick<BehindSocket, "beganAt" | "movedAt">> = {},
): BehindSocket {
  return { meter: { acknowledges, unacked }, beganAt: NOW, movedAt: NOW, ...times };
}

describe("a socket that is behind", () => {
  test("[WS16] is sent up to its window as it acknowledges", () => {
    expect(dueAt(behind({ unacked: CATCH_UP_WINDOW_BYTES - 1 }))).toBeLessThanOrEqual(NOW);
    expect(dueAt(behind({ unacked: CATCH_UP_WINDOW_BYTES }))).toBe(NOW + 5_000);
    expect(windowOf(behind({ unacked: 100 }))).toBe(CATCH_UP_WINDOW_BYTES - 100);
    // What our clients take before they say so leaves room for more: neither side waits for the other.
    expect(ACK_EVERY_BYTES * 2).toBeLessThanOrEqual(CATCH_UP_WINDOW_BYTES);
  });

  test("[WS16] is sent a window by the clock if it never acknowledged, or stopped", () => {
    expect(dueAt(behind({ acknowledges: false, unacked: 10 }))).toBe(NOW + 50);
    expect(windowOf(behind({ acknowledges: false, unacked: 10 }))).toBe(CATCH_UP_WINDOW_BYTES);
    expect(windowOf(behind({ unacked: 2 * CATCH_UP_WINDOW_BYTES }))).toBe(CATCH_UP_WINDOW_BYTES);
  });

  test("[WS17] waits where many begin at once, a second at most for those who take nothing", () => {
    const begun = Array.from({ length: CATCH_UP_SOCKETS_MAX }, (_, i) =>
      behind({ unacked: CATCH_UP_WINDOW_BYTES }, { beganAt: NOW + i }),
    );
    const waiting = behind({}, { beganAt: null });
    expect(roomToBegin(begun.slice(1), NOW + 100)).toBe(1);
    expect(roomToBegin([...begun, waiting], NOW + 100)).toBe(0);
    expect(nextLook([...begun, waiting], NOW + 100)).toBe(NOW + 1_000);
    expect(roomToBegin([...begun, waiting], NOW + 1_000)).toBe(1);
    expect(nextLook([], NOW)).toBeNull();
  });

  test("[WS16] is looked at again, whatever it is like", () => {
    const any = fc.record({
      meter: fc.record({ acknowledges: fc.boolean(), unacked: fc.nat({ max: UNACKED_MAX_BYTES }) }),
      beganAt: fc.option(fc.integer({ min: NOW - 5_000, max: NOW })),
      movedAt: fc.integer({ min: NOW - 5_000, max: NOW }),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 200 }), (sockets) => {
        const next = Math.max(NOW, nextLook(sockets, NOW) ?? Number.POSITIVE_INFINITY);
        expect(next).toBeLessThanOrEqual(NOW + 5_000);
        const waiting = sockets.some(({ beganAt }) => beganAt === null);
        const due = sockets.some((one) => one.beganAt !== null && dueAt(one) <= next);
        expect(due || (waiting && roomToBegin(sockets, next) > 0)).toBe(true);
      }),
    );
  });

  test("[WS17] costs as much as it is looked at, however many wait", () => {
    let looks = 0;
    const sockets = Array.from({ length: 2_000 }, (_, i) => ({
      ...behind(),
      get beganAt() {
        looks++;
        return i < CATCH_UP_SOCKETS_MAX ? NOW : null;
      },
    }));
    nextLook(sockets, NOW);
    expect(looks).toBeLessThanOrEqual(5 * sockets.length);
  });
});

describe("catching up", () => {
  type Client = { meter: SocketMeter; name: number };
  const client = (name: number, acknowledges: boolean): Client => ({ meter: new SocketMeter(acknowledges), name });

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("[WS17] begins with so many within a second, and has all of them begin", () => {
    const begun: number[] = [];
    const catchUp = new CatchUp<Client>(({ name }, after) => {
      if (!begun.includes(name)) begun.push(name);
      return after;
    });
    const clients = Array.from({ length: 150 }, (_, name) => client(name, true));
    for (const one of clients) catchUp.fallBehind(one, "0", false);
    expect(begun).toEqual([]);
    for (const [ms, count] of [
      [0, 64],
      [999, 64],
      [1, 128],
      [999, 128],
      [1, 150],
    ] as const) {
      vi.advanceTimersByTime(ms);
      expect(begun).toEqual(clients.slice(0, count).map(({ name }) => name));
    }
  });

  test("[WS17] holds up nobody for those who have everything at once", () => {
    const catchUp = new CatchUp<Client>(() => null);
    const clients = Array.from({ length: 150 }, (_, name) => client(name, true));
    for (const one of clients) {
      catchUp.fallBehind(one, "0", false);
      catchUp.goOn();
    }
    expect([clients.some((one) => catchUp.isBehind(one)), vi.getTimerCount()]).toEqual([false, 0]);
  });

  test("[WS16] sends by the clock, every 50 ms or 5 s, and at once what is acknowledged", () => {
    const sent: [name: string, at: number][] = [];
    const catchUp = new CatchUp<Client>(({ meter, name }, after, bytes) => {
      meter.count(after, bytes);
      sent.push([`${name} ${bytes}`, Date.now() - NOW]);
      return `${Number(after) + 1}`;
    });
    const [never, silent] = [client(1, false), client(2, true)];
    catchUp.fallBehind(silent, "1", false);
    catchUp.goOn();
    vi.advanceTimersByTime(4_999);
    expect(sent).toEqual([[`2 ${CATCH_UP_WINDOW_BYTES}`, 0]]);
    vi.advanceTimersByTime(5_001);
    expect(sent.slice(1)).toEqual([5_000, 10_000].map((at) => [`2 ${CATCH_UP_WINDOW_BYTES}`, at]));
    silent.meter.acknowledge("3");
    catchUp.acknowledged(silent);
    expect(sent.slice(3)).toEqual([[`2 ${CATCH_UP_WINDOW_BYTES}`, 10_000]]);
    catchUp.leave(silent);
    catchUp.fallBehind(never, "1", false);
    vi.advanceTimersByTime(100);
    expect(sent.slice(4)).toEqual([10_000, 10_050, 10_100].map((at) => [`1 ${CATCH_UP_WINDOW_BYTES}`, at]));
  });

  test("[WS12] keeps nobody awake once nobody is behind, whether it was sent everything or left", () => {
    const catchUp = new CatchUp<Client>(() => null);
    const [one, other] = [client(1, true), client(2, true)];
    for (const each of [one, other]) catchUp.fallBehind(each, "0", true);
    catchUp.leave(one);
    expect([catchUp.isBehind(one), catchUp.isBehind(other), vi.getTimerCount()]).toEqual([false, true, 1]);
    catchUp.leave(other);
    expect(vi.getTimerCount()).toBe(0);
    catchUp.fallBehind(one, "0", false);
    catchUp.acknowledged(one);
    expect([catchUp.isBehind(one), vi.getTimerCount()]).toEqual([false, 0]);
  });

  test("[WS14] counts what went past a silent client, and forgets it when the client says something", () => {
    const catchUp = new CatchUp<Client>((_, after) => after);
    const silent = client(1, true);
    silent.meter.count("1", CATCH_UP_WINDOW_BYTES);
    expect(isFull(silent.meter)).toBe(true);
    catchUp.fallBehind(silent, "1", true);
    expect(catchUp.miss(silent, UNACKED_MAX_BYTES - CATCH_UP_WINDOW_BYTES)).toBe(true);
    expect(catchUp.miss(silent, 1)).toBe(false);
    silent.meter.acknowledge("1");
    catchUp.acknowledged(silent);
    expect([isFull(silent.meter), silent.meter.unacked, catchUp.miss(silent, UNACKED_MAX_BYTES)]).toEqual([
      false,
      0,
      true,
    ]);
    // What passes one that never says anything is counted when it is sent.
    const never = client(2, false);
    catchUp.fallBehind(never, "1", true);
    expect(catchUp.miss(never, 2 * NEVER_ACKED_MAX_BYTES)).toBe(true);
  });
});

describe("a client's meter", () => {
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

  test("[WS18] those that never acknowledged anything share what may be held for them", () => {
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
