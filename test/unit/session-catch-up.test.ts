import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ACK_EVERY_BYTES,
  CATCH_UP_BEGIN_BYTES,
  CATCH_UP_WINDOW_BYTES,
  NEVER_ACKED_MAX_BYTES,
  UNACKED_MAX_BYTES,
  UNACKED_TOTAL_MAX_BYTES,
} from "../../src/protocol/limits.ts";
import {
  type BehindSocket,
  CatchUp,
  dueAt,
  isFull,
  nextLook,
  nextStart,
  windowOf,
} from "../../src/session/catch-up.ts";
import { neverAckedLimit, SocketMeter } from "../../src/session/socket-meter.ts";

const NOW = 1_000_000;

function behind(
  { acknowledges = true, unacked = 0 } = {},
  state: Partial<Pick<BehindSocket, "hasBegun" | "movedAt">> = {},
): BehindSocket {
  return { meter: { acknowledges, unacked }, hasBegun: true, movedAt: NOW, ...state };
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

  test("[WS17] waits until a second has passed where those that began were sent enough", () => {
    const begun = [
      { at: NOW, bytes: 1 },
      { at: NOW + 500, bytes: CATCH_UP_BEGIN_BYTES - 1 },
    ];
    expect(nextStart(begun.slice(1), NOW + 501)).toBe(NOW + 501);
    expect(nextStart(begun, NOW + 501)).toBe(NOW + 1_000);
    expect(nextStart(begun, NOW + 1_000)).toBe(NOW + 1_000);
    expect(nextStart([...begun, { at: NOW + 600, bytes: 1 }], NOW + 1_000)).toBe(NOW + 1_500);
    expect(nextLook([behind({ unacked: CATCH_UP_WINDOW_BYTES }), behind({}, { hasBegun: false })], NOW + 7)).toBe(
      NOW + 7,
    );
    expect(nextLook([], NOW)).toBeNull();
  });

  test("[WS16] is looked at again, whatever it is like", () => {
    const any = fc.record({
      meter: fc.record({ acknowledges: fc.boolean(), unacked: fc.nat({ max: UNACKED_MAX_BYTES }) }),
      hasBegun: fc.boolean(),
      movedAt: fc.integer({ min: NOW - 5_000, max: NOW }),
    });
    const anyStart = fc.integer({ min: NOW, max: NOW + 1_000 });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 200 }), anyStart, (sockets, start) => {
        const next = Math.max(NOW, nextLook(sockets, start) ?? Number.POSITIVE_INFINITY);
        expect(next).toBeLessThanOrEqual(NOW + 5_000);
        expect(sockets.some((one) => (one.hasBegun ? dueAt(one) : start) <= next)).toBe(true);
      }),
    );
  });
});

describe("catching up", () => {
  type Client = { meter: SocketMeter; name: number };
  const noCut = () => expect.unreachable("nobody is cut off");
  const client = (name: number, acknowledges: boolean): Client => ({ meter: new SocketMeter(acknowledges), name });

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ["that have everything with it", null],
    ["that are still behind after it", "1"],
  ])("[WS17] sends so much within a second to sockets that begin, %s, and then has the others begin", (_, left) => {
    const begun: number[] = [];
    const catchUp = new CatchUp<Client>(({ meter, name }, after, bytes) => {
      if (begun.includes(name)) return after;
      begun.push(name);
      meter.count("1", bytes);
      return left;
    }, noCut);
    const clients = Array.from({ length: 100 }, (_, name) => client(name, true));
    for (const one of clients) {
      catchUp.fallBehind(one, "0", false);
      catchUp.goOn();
    }
    for (const [ms, count] of [
      [0, 64],
      [999, 64],
      [1, 100],
    ] as const) {
      vi.advanceTimersByTime(ms);
      expect(begun).toEqual(clients.slice(0, count).map(({ name }) => name));
    }
  });

  test("[WS17] has a thousand begin at once that missed little", () => {
    const catchUp = new CatchUp<Client>(({ meter }) => {
      meter.count("1", 1_024);
      return null;
    }, noCut);
    const clients = Array.from({ length: 1_000 }, (_, name) => client(name, true));
    for (const one of clients) catchUp.fallBehind(one, "0", false);
    catchUp.goOn();
    expect([clients.some((one) => catchUp.isBehind(one)), vi.getTimerCount()]).toEqual([false, 0]);
  });

  test("[WS19] many that acknowledged once and take nothing have 64 MiB on their way at most, and one that does is served", () => {
    const cut = new Set<number>();
    const served: number[] = [];
    let most = 0;
    const clients = Array.from({ length: 300 }, (_, name) => client(name, true));
    const catchUp = new CatchUp<Client>(
      ({ meter, name }, after, bytes) => {
        if (name === 299) served.push(Date.now() - NOW);
        else meter.count(after, bytes);
        return name === 299 ? null : after;
      },
      (one) => {
        cut.add(one.name);
        catchUp.leave(one);
      },
    );
    for (const one of clients) catchUp.fallBehind(one, "0", false);
    for (let tenth = 0; tenth < 1_200; tenth++) {
      vi.advanceTimersByTime(100);
      const held = clients.filter(({ name }) => !cut.has(name)).reduce((sum, { meter }) => sum + meter.unacked, 0);
      most = Math.max(most, held);
    }
    expect(most).toBeLessThanOrEqual(UNACKED_TOTAL_MAX_BYTES + CATCH_UP_WINDOW_BYTES);
    expect(served).toHaveLength(1);
    expect(served[0]).toBeLessThan(20_000);
    expect(cut.size).toBeGreaterThan(100);
  });

  test("[WS16] sends by the clock, every 50 ms or 5 s, and at once what is acknowledged", () => {
    const sent: [name: string, at: number][] = [];
    const catchUp = new CatchUp<Client>(({ meter, name }, after, bytes) => {
      meter.count(after, bytes);
      sent.push([`${name} ${bytes}`, Date.now() - NOW]);
      return `${Number(after) + 1}`;
    }, noCut);
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
    const catchUp = new CatchUp<Client>(() => null, noCut);
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
    const catchUp = new CatchUp<Client>((_, after) => after, noCut);
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

  test("[WS14] [WS16] an answer keeps no event back, and counts for the limit until something is acknowledged", () => {
    const meter = new SocketMeter(true);
    expect(meter.count(null, UNACKED_MAX_BYTES)).toBe(true);
    expect(isFull(meter)).toBe(false);
    expect(meter.count(null, 1)).toBe(false);
    meter.acknowledge("0");
    expect(meter.count(null, UNACKED_MAX_BYTES)).toBe(true);
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
      UNACKED_TOTAL_MAX_BYTES / 4,
      UNACKED_MAX_BYTES,
      UNACKED_MAX_BYTES,
    ]);
    const meter = new SocketMeter(false, () => 8);
    expect(meter.count("1", UNACKED_TOTAL_MAX_BYTES / 8)).toBe(true);
    expect(meter.count("2", 1)).toBe(false);
  });
});
