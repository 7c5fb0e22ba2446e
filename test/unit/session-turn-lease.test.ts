import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { GatewayError } from "../../src/protocol/errors.ts";
import { HEARTBEAT_MS, TURN_LEASE_TTL_MS } from "../../src/protocol/limits.ts";
import { type LeaseRegister, TurnLease } from "../../src/session/turn-lease.ts";
import { passTicks } from "../support/ticks.ts";

const MAX = 2;
const SESSIONS = [0, 1, 2, 3];

/** `calls`: how many of the calls that are under way take effect before the next command. */
type Command = { session: number; calls: number; do: "message" | "end" | "wait" | "answer" | "heartbeat" | "refused" };

const anyCommand = fc.record<Command>({
  session: fc.constantFrom(...SESSIONS),
  calls: fc.nat(2),
  do: fc.constantFrom("message", "message", "message", "end", "end", "wait", "answer", "heartbeat", "refused"),
});

/** The register of one user, each call of which takes effect when the scheduler says so. */
function createRegister(scheduler: fc.Scheduler) {
  const rows = new Map<string, string>();
  const register: LeaseRegister = {
    async take({ session_id, lease_id }, max) {
      await scheduler.schedule(Promise.resolve(), "take");
      const others = [...rows.keys()].filter((id) => id !== session_id).length;
      if (!rows.has(session_id) && others >= max) return false;
      rows.set(session_id, lease_id);
      return true;
    },
    async renew({ session_id, lease_id }) {
      await scheduler.schedule(Promise.resolve(), "renew");
      if ((rows.get(session_id) ?? "") <= lease_id) rows.set(session_id, lease_id);
    },
    async giveBack({ session_id, lease_id }) {
      await scheduler.schedule(Promise.resolve(), "give back");
      if ((rows.get(session_id) ?? "") <= lease_id) rows.delete(session_id);
    },
  };
  return { rows, register };
}

/** Enough for whatever follows a call. */
const restInMemory = () => passTicks(30);

test("[LIMIT4] [LIMIT6] [LIMIT7] in any order of calls, whoever runs has a lease, and at rest nobody else", async () => {
  const anyRun = fc.tuple(fc.scheduler(), fc.array(anyCommand, { minLength: 1, maxLength: 30 }));
  await fc.assert(
    fc.asyncProperty(anyRun, async ([scheduler, commands]) => {
      const { rows, register } = createRegister(scheduler);
      let now = 0;
      const sessions = SESSIONS.map((i) => {
        const holder = { running: false, settings: { session_id: `session_${i}`, user_id: "alice" } };
        const lease = new TurnLease({ max: MAX, register, session: () => holder, now: () => now, wakeAt: () => {} });
        return { holder, lease, asking: false, waits: false, byMessage: false };
      });
      const starts: Promise<void>[] = [];
      const run = ({ session, do: what }: Command) => {
        const one = sessions[session];
        if (one === undefined) return;
        const { holder, lease } = one;
        const start = async () => {
          try {
            await lease.take();
            if (what === "message") Object.assign(one, { byMessage: true, waits: false });
            if (what === "message") holder.running = true;
            lease.settle();
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(GatewayError);
          } finally {
            one.asking = false;
          }
        };
        if ((what === "message" || what === "refused") && !holder.running && !one.asking && !one.waits) {
          one.asking = true;
          starts.push(start());
        } else if ((what === "end" || what === "wait") && holder.running) {
          Object.assign(one, { byMessage: false, waits: what === "wait" });
          holder.running = false;
          lease.follow();
        } else if (what === "answer" && one.waits) {
          one.waits = false;
          holder.running = true;
          lease.follow();
        } else if (what === "heartbeat") {
          now += HEARTBEAT_MS;
          for (const other of sessions) other.lease.follow();
        }
      };
      const check = () => {
        const started = sessions.filter(({ byMessage }) => byMessage);
        for (const { holder } of started) expect(rows.has(holder.settings.session_id)).toBe(true);
        expect(started.length).toBeLessThanOrEqual(MAX);
      };
      for (const command of commands) {
        run(command);
        await restInMemory();
        for (let i = 0; i < command.calls && scheduler.count() > 0; i++) {
          await scheduler.waitOne();
          await restInMemory();
        }
        check();
      }
      await scheduler.waitIdle();
      await Promise.all(starts);
      await scheduler.waitIdle();
      check();
      const running = sessions.filter(({ holder }) => holder.running);
      expect([...rows.keys()].sort()).toEqual(running.map(({ holder }) => holder.settings.session_id).sort());
    }),
    { numRuns: 300 },
  );
});

/** A session alone, with a register that is broken as long as `broken` says so, and its alarm. */
function createBroken() {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const calls: string[] = [];
  const wakes: number[] = [];
  const holder = { running: false, settings: { session_id: "session", user_id: "alice" } };
  const world = { calls, wakes, holder, broken: true, now: 0 };
  const say = async (call: string) => {
    calls.push(call);
    if (world.broken) throw new Error("broken by a test");
  };
  const lease = new TurnLease({
    max: MAX,
    register: {
      take: () => say("take").then(() => true),
      renew: () => say("renew"),
      giveBack: () => say("give back"),
    },
    session: () => holder,
    now: () => world.now,
    wakeAt: (time) => wakes.push(time),
  });
  return Object.assign(world, { lease });
}

afterEach(() => {
  vi.restoreAllMocks();
});

test("[LIMIT4] [LIMIT7] what could not be renewed is renewed by the next heartbeat", async () => {
  const world = createBroken();
  const { lease, calls, holder } = world;
  await expect(lease.take()).rejects.toMatchObject({ code: "unavailable" });
  // It may have been taken all the same.
  await vi.waitFor(() => expect(calls).toEqual(["take", "give back"]));
  holder.running = true;
  lease.follow();
  await vi.waitFor(() => expect(calls.at(-1)).toBe("renew"));
  world.broken = false;
  lease.follow();
  world.now += HEARTBEAT_MS;
  lease.follow();
  await restInMemory();
  expect(calls).toEqual(["take", "give back", "renew", "renew"]);
  expect(lease.retryAt).toBe(null);
});

test("[LIMIT7] a place that could not be given back is given back later, at shorter and then longer intervals", async () => {
  const world = createBroken();
  const { lease, calls, wakes, holder } = world;
  world.broken = false;
  await lease.take();
  holder.running = true;
  lease.settle();
  world.broken = true;
  holder.running = false;
  lease.follow();
  await restInMemory();
  expect(calls).toEqual(["take", "give back"]);
  expect(lease.retryAt).toBe(1_000);
  // Nothing is done before it is due.
  lease.follow();
  for (const next of [1_000, 3_000]) {
    world.now = next;
    lease.follow();
    await restInMemory();
  }
  expect(wakes).toEqual([1_000, 3_000, 7_000]);
  world.broken = false;
  world.now = 7_000;
  lease.follow();
  await restInMemory();
  expect(calls).toEqual(["take", "give back", "give back", "give back", "give back"]);
  expect(lease.retryAt).toBe(null);
});

test("[LIMIT7] nobody is kept awake for a place that has ended by itself", async () => {
  const world = createBroken();
  const { lease, wakes, holder } = world;
  await lease.take().catch(() => {});
  holder.running = false;
  while (true) {
    await restInMemory();
    const { retryAt } = lease;
    if (retryAt === null) break;
    world.now = retryAt;
    lease.follow();
  }
  expect(wakes).toEqual([1_000, 3_000, 7_000, 15_000, 31_000, 63_000]);
  expect(world.now).toBeLessThan(TURN_LEASE_TTL_MS);
});

test("[LIMIT7] a place that is used again is no longer given back", async () => {
  const world = createBroken();
  const { lease, calls, holder } = world;
  await lease.take().catch(() => {});
  await restInMemory();
  expect(lease.retryAt).toBe(1_000);
  world.broken = false;
  await lease.take();
  holder.running = true;
  lease.settle();
  world.now = 1_000;
  lease.follow();
  await restInMemory();
  expect(lease.retryAt).toBe(null);
  expect(calls).toEqual(["take", "give back", "take"]);
});

test("[LIMIT7] a place that is owed has no time to be woken at while another is being taken, or held", async () => {
  const world = createBroken();
  const { lease, holder } = world;
  // Nobody knows whether it was taken: it is to be given back, and that fails too.
  await lease.take().catch(() => {});
  await restInMemory();
  expect(lease.retryAt).toBe(1_000);
  const taking = lease.take().catch(() => {});
  expect(lease.retryAt).toBe(null);
  await taking;
  await restInMemory();
  expect(lease.retryAt).not.toBe(null);
  holder.running = true;
  expect(lease.retryAt).toBe(null);
});
