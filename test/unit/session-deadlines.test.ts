import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AskingWorld, askUser, lampCall, writeTo } from "../support/asking-world.ts";
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

/** What the model was told of a call. */
function toldOf({ model }: AskingWorld, toolUseId: string): unknown {
  const blocks = model.requests.at(-1)?.messages.flatMap(({ content }) => content) ?? [];
  return blocks.find((block) => block["tool_use_id"] === toolUseId)?.["content"];
}

describe("a deadline", () => {
  test("[ASK13] nobody's answer within 7 days denies a call, and gives a question an error result", async () => {
    const world = new AskingWorld([[writeTo("a"), askUser("q"), lampCall("l")]]);
    const turnId = await world.ask();
    vi.advanceTimersByTime(7 * DAY_MS - 1);
    world.session.resume();
    expect(world.pending).toEqual(["a", "q", "l"]);
    expect(world.session.answers.deadline).toBe(Date.now() + 1);
    expect(world.wakes).toContain(Date.now() + 1);
    vi.advanceTimersByTime(1);
    world.session.resume();
    await world.done(turnId);
    const settled = ["deny a", "error a", "nothing q", "error q", "error l", "end complete"];
    expect(world.happened.slice(-7)).toEqual(["waiting a q l", ...settled]);
    expect(toldOf(world, "a")).toMatch(/Nobody allowed/);
    expect(toldOf(world, "q")).toMatch(/Nobody answered/);
    expect(toldOf(world, "l")).toMatch(/may or may not/);
    expect(() => world.say("q", "late")).toThrow(code("already_answered"));
    expect(() => world.give("l", "late")).toThrow(code("already_answered"));
    expect(world.session.answers.deadline).toBeNull();
  });

  test("[ASK13] a session sets its own time and default, and the gateway those of all", async () => {
    const settings = { input_timeout_seconds: 60, input_default: "allow" as const };
    const gateway = { GATEWAY_INPUT_DEFAULT: "allow", GATEWAY_INPUT_TIMEOUT_SECONDS: "120" };
    for (const [options, seconds] of [
      // Where nobody's answer allows, a session may give people more time than the gateway does, and no less.
      [{ settings, gateway }, 120],
      [{ settings: { ...settings, input_timeout_seconds: 180 }, gateway }, 180],
      [
        { settings: { ...settings, loosened: { input_timeout_seconds: true, input_default: true } as const }, gateway },
        60,
      ],
      [{ gateway }, 120],
    ] as const) {
      const world = new AskingWorld([[writeTo("a")]], options);
      const turnId = await world.ask();
      expect(world.session.answers.input(world.inputOf("a")).default).toBe("allow");
      vi.advanceTimersByTime(seconds * 1_000);
      world.session.resume();
      await world.done(turnId);
      expect(world.happened.slice(-3)).toEqual(["allow a", "result a", "end complete"]);
      expect(world.file("a.txt")).toBe("a");
    }
  });

  test("[ASK4] [ASK13] a default that was set before the gateway tightened its own does not loosen it", async () => {
    const world = new AskingWorld([[writeTo("a")]], { settings: { input_default: "allow" } });
    const turnId = await world.ask();
    vi.advanceTimersByTime(7 * DAY_MS);
    world.session.resume();
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["deny a", "error a", "end complete"]);
    expect(world.paths()).toEqual([]);
    const loosened = new AskingWorld([[writeTo("a")]], {
      settings: { input_default: "allow", loosened: { input_default: true } },
    });
    await loosened.ask();
    expect(loosened.session.answers.input(loosened.inputOf("a")).default).toBe("allow");
  });

  test.for([
    [60, undefined, 60],
    [180, undefined, 180],
    [60, "120", 60],
    [180, "120", 120],
  ] as const)(
    "[ASK4] [ASK13] %d s of a session and %s of the gateway are %d where nobody's answer denies",
    async (times) => {
      const [input_timeout_seconds, GATEWAY_INPUT_TIMEOUT_SECONDS, seconds] = times;
      const gateway = { GATEWAY_INPUT_TIMEOUT_SECONDS };
      const world = new AskingWorld([[writeTo("a")]], { settings: { input_timeout_seconds }, gateway });
      await world.ask();
      const { expires_at } = world.session.answers.input(world.inputOf("a"));
      expect(Date.parse(expires_at) - Date.now()).toBe(seconds * 1_000);
    },
  );

  test("[ASK8] [ASK13] a turn that goes on when several deadlines pass at once does not say that it waits for a client", async () => {
    const gateway = { GATEWAY_INPUT_DEFAULT: "allow", GATEWAY_INPUT_TIMEOUT_SECONDS: "60" };
    const world = new AskingWorld([[writeTo("w"), lampCall("l")]], { permissions: { "*": "ask" }, gateway });
    await world.ask();
    vi.advanceTimersByTime(60_000);
    world.session.resume();
    await world.waits(2);
    expect(world.happened.slice(-5)).toEqual(["waiting w l", "allow w", "allow l", "result w", "waiting l"]);
  });

  test("[ASK4] [ASK13] what was asked before the gateway was tightened is not allowed by nobody's answer after it", async () => {
    const gateway: { GATEWAY_INPUT_DEFAULT?: string } = { GATEWAY_INPUT_DEFAULT: "allow" };
    const world = new AskingWorld([[writeTo("a")]], { gateway });
    const turnId = await world.ask();
    expect(world.session.answers.input(world.inputOf("a")).default).toBe("allow");
    world.kill();
    gateway.GATEWAY_INPUT_DEFAULT = "deny";
    world.start();
    expect(world.session.answers.input(world.inputOf("a")).default).toBe("deny");
    vi.advanceTimersByTime(7 * DAY_MS);
    world.session.resume();
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["deny a", "error a", "end complete"]);
  });

  test("[ASK12] [ASK13] an answer after the deadline is too late, whether anybody noticed it or not", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    vi.advanceTimersByTime(7 * DAY_MS);
    expect(() => world.say("a", "allow")).toThrow(code("already_answered"));
    expect(world.say("a", "deny").response).toBe("deny");
    await world.done(turnId);
    expect(world.paths()).toEqual([]);
  });

  test("[ASK13] a host that was not there settles it when it comes back", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    world.kill();
    vi.advanceTimersByTime(30 * DAY_MS);
    world.start();
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["deny a", "error a", "end complete"]);
  });

  test("[ASK13] [TURN18] what belongs to a cancelled turn has no deadline any more, so that no alarm spins", async () => {
    let failing = false;
    const world = new AskingWorld([[writeTo("a")]], {
      beforeStatement: (query) => {
        if (failing && query.startsWith("INSERT")) throw new Error("database or disk is full");
      },
    });
    const turnId = await world.ask();
    failing = true;
    await passTimeUntil(world.session.cancel().catch(() => null));
    vi.advanceTimersByTime(8 * DAY_MS);
    expect(() => world.session.resume()).toThrow("full");
    expect(world.session.answers.deadline).toBeNull();
    failing = false;
    world.session.resume();
    await world.done(turnId);
    expect(world.happened.at(-1)).toBe("end cancelled");
  });
});
