import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { AskingWorld, lampCall, writeTo } from "../support/asking-world.ts";
import { toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const DAY_MS = 86_400_000;
const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });
const list = (id: string) => toolUse(id, "list", {});

describe("a turn that waits", () => {
  test("[ASK10] is found by a start which counts nothing and changes nothing, however often", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    const stored = () =>
      JSON.stringify(
        ["turns", "events", "inputs", "tool_calls"].map((name) => world.sql.exec(`SELECT * FROM ${name}`)),
      );
    const before = stored();
    for (let i = 0; i < 10; i++) {
      world.start();
      vi.advanceTimersByTime(HEARTBEAT_MS);
      world.session.resume();
      expect(world.session.running).toBe(false);
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(stored()).toBe(before);
    world.say("a", "allow");
    expect((await world.done(turnId)).status).toBe("complete");
    expect(world.file("a.txt")).toBe("a");
  });

  test("[ASK10] [TURN20] kills before it waits do not count against the call that is allowed", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = world.submit("go");
    await passTimeUntil(world.until(({ type }) => type === "AUTH_REQUIRED"));
    for (let i = 0; i < 3; i++) {
      world.kill();
      // Dies before it is stored that it waits.
      world.start();
      world.kill();
    }
    world.start();
    await world.waits();
    world.say("a", "allow");
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["allow a", "result a", "end complete"]);
  });

  test("[ASK14] ends at a cancel, which resolves once it has", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    expect(await world.session.cancel()).toEqual({ turn_id: turnId });
    expect(world.happened.slice(-3)).toEqual(["waiting a", "error a", "end cancelled"]);
    expect(() => world.say("a", "allow")).toThrow(code("already_answered"));
    expect(world.pending).toEqual([]);
    expect(world.paths()).toEqual([]);
  });

  test("[ASK14] [TURN18] a cancel in any moment, also in that in which it begins to wait, resolves once it has stopped", async () => {
    for (let ticks = 0; ticks < 60; ticks++) {
      const world = new AskingWorld([[list("x"), writeTo("a")]]);
      const turnId = world.submit("go");
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      const cancelled = await passTimeUntil(world.session.cancel());
      expect(cancelled).toEqual({ turn_id: turnId });
      expect(world.happened.at(-1), `after ${ticks} ticks`).toBe("end cancelled");
    }
  });

  test("[ASK12] [ASK14] an answer in any moment, also in that in which it begins to wait, lets it go on", async () => {
    let answered = 0;
    for (let ticks = 0; ticks < 80; ticks++) {
      const world = new AskingWorld([[list("x"), writeTo("a")]]);
      const turnId = world.submit("go");
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      if (!world.happened.includes("ask a")) continue;
      world.say("a", "allow");
      answered++;
      await world.done(turnId);
      expect(world.happened.at(-1), `after ${ticks} ticks`).toBe("end complete");
      expect(world.file("a.txt")).toBe("a");
    }
    expect(answered).toBeGreaterThan(20);
  });

  test("[ASK14] an interrupt ends it, and its message comes next", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    await world.ask();
    const next = world.submit("instead", { on_busy: "interrupt" });
    await world.done(next);
    expect(world.happened.slice(-3)).toEqual(["error a", "end cancelled", "end complete"]);
  });

  test("[ASK14] a steer waits with it and joins after the results", async () => {
    const world = new AskingWorld([[writeTo("a"), writeTo("b")]]);
    const turnId = await world.ask();
    world.submit("by the way", { on_busy: "steer" });
    await passTimeUntil(Promise.resolve());
    expect(world.happened.at(-1)).toBe("waiting a b");
    world.say("a", "deny");
    world.say("b", "allow");
    await world.done(turnId);
    expect(world.happened.slice(5)).toEqual(["deny a", "error a", "allow b", "result b", "steered", "end complete"]);
  });

  test("[ASK8] messages queue behind it, and it is not one of them", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    const second = world.submit("second");
    expect(world.session.describe()).toMatchObject({ status: "waiting", active_turn: turnId, queued_turns: [second] });
    expect(() => world.session.withdraw(turnId)).toThrow(code("session_busy"));
    world.session.withdraw(second);
    world.say("a", "deny");
    await world.done(turnId);
  });

  test("[ASK10] is gone with its session", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    await world.ask();
    const before = world.sent.length;
    await world.session.stop();
    vi.advanceTimersByTime(30 * DAY_MS);
    world.session.resume();
    expect(world.sent.slice(before)).toEqual([]);
  });

  test("[ASK10] [ASK12] what settles it wakes the host, so that its death in that moment delays nothing", async () => {
    const acts: ((world: AskingWorld) => void)[] = [
      (world) => world.say("a", "allow"),
      (world) => world.give("l", "on"),
      (world) => void world.session.cancel().catch(() => {}),
      (world) => void world.submit("instead", { on_busy: "interrupt" }),
      (world) => void world.submit("later"),
    ];
    for (const act of acts) {
      const world = new AskingWorld([[writeTo("a"), lampCall("l")]]);
      await world.ask();
      world.start();
      const before = world.wakes.length;
      act(world);
      expect(Math.min(...world.wakes.slice(before))).toBeLessThanOrEqual(Date.now() + HEARTBEAT_MS);
    }
  });

  test("[ASK10] [ASK12] outlasts a death at each statement of asking, answering and going on", async () => {
    for (let statements = 0; statements < 130; statements++) {
      const world = new AskingWorld([[writeTo("a"), lampCall("l")]]);
      let turnId = "";
      world.start(statements);
      try {
        turnId = world.submit("go");
      } catch {
        continue;
      }
      const waiting = world.until(({ type, data }) => type === "STATUS" && data.status === "waiting");
      await passTimeUntil(Promise.race([waiting, world.died()]));
      for (let i = 0; i < 50; i++) await Promise.resolve();
      try {
        if (world.alive) world.say("a", "allow");
        if (world.alive) world.give("l", "on");
        for (let i = 0; i < 200; i++) await Promise.resolve();
      } catch (thrown) {
        expect(thrown).toHaveProperty("name", "Killed");
      }
      world.start();
      for (let i = 0; i < 200; i++) await Promise.resolve();
      if (world.pending.includes("a")) world.say("a", "allow");
      if (world.pending.includes("l")) world.give("l", "on");
      expect(await world.done(turnId)).toMatchObject({ status: "complete" });
      expect(world.file("a.txt")).toBe("a");
      const results = world.events("TOOL_RESULT").map(({ data }) => data.tool_use_id);
      expect(results.toSorted()).toEqual(["a", "l"]);
      expect(world.happened.filter((word) => word === "allow a")).toHaveLength(1);
    }
  });
});
