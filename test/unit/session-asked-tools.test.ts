import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { clientTools } from "../../src/protocol/client-tools.ts";
import { parseGatewaySettings } from "../../src/protocol/gateway-settings.ts";
import { checkClientTools, loosenedFields, patchSettings } from "../../src/session/check-settings.ts";
import { createToolRegistry } from "../../src/tools/registry.ts";
import { AskingWorld, askUser, LAMP, lampCall, writeTo } from "../support/asking-world.ts";
import { toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });
const ROOT = { user_id: "root", scopes: ["read" as const, "write" as const, "approve" as const, "admin" as const] };

/** What the model was told of a call. */
function toldOf({ model }: AskingWorld, toolUseId: string): unknown {
  const blocks = model.requests.at(-1)?.messages.flatMap(({ content }) => content) ?? [];
  const result = blocks.find((block) => block["tool_use_id"] === toolUseId);
  return [result?.["content"], result?.["is_error"] ?? false];
}

describe("a question", () => {
  test("[ASK15] [ASK11] is asked with its options, and any string is its result", async () => {
    const options = ["red", "blue"];
    const world = new AskingWorld([[toolUse("q", "ask_user", { question: "Which?", options }), askUser("r")]]);
    const turnId = await world.ask();
    expect(world.events("AUTH_REQUIRED")[0]?.data).toMatchObject({ kind: "question", message: "Which?", options });
    expect(world.session.describe().pending_inputs[0]).toEqual({ input_id: world.inputOf("q"), kind: "question" });
    world.say("q", "");
    world.say("r", "neither");
    await world.done(turnId);
    expect(toldOf(world, "q")).toEqual(["(no output)", false]);
    expect(toldOf(world, "r")).toEqual(["neither", false]);
    expect(world.say("q", "")).toMatchObject({ response: "" });
    expect(() => world.say("q", "red")).toThrow(code("already_answered"));
  });

  test("[ASK15] is not asked for before it is asked, but can be denied", async () => {
    const world = new AskingWorld([[askUser("q")]], { permissions: { "*": "ask" } });
    await world.ask();
    expect(world.happened).toEqual(["call q", "ask q", "waiting q"]);
    const denied = new AskingWorld([[askUser("q")]], { permissions: { ask_user: "deny" } });
    await passTimeUntil(denied.run("go"));
    expect(denied.happened).toEqual(["call q", "error q", "end complete"]);
  });

  test("[ASK7] one that is not valid is asked of nobody", async () => {
    const world = new AskingWorld([[toolUse("q", "ask_user", { question: "" })]]);
    await passTimeUntil(world.run("go"));
    expect(world.happened).toEqual(["call q", "error q", "end complete"]);
  });
});

describe("a client's tool", () => {
  test("[ASK17] [ASK16] its call is its client's, and what that gives is the result", async () => {
    const world = new AskingWorld([[lampCall("l"), lampCall("m")]]);
    const turnId = await world.ask();
    expect(world.model.requests[0]?.tools.at(-1)).toEqual(LAMP);
    expect(world.events("TOOL_CALL").map(({ data }) => data.executor)).toEqual(["client", "client"]);
    expect(world.session.describe().pending_inputs).toEqual([
      { tool_use_id: "l", kind: "tool" },
      { tool_use_id: "m", kind: "tool" },
    ]);
    vi.advanceTimersByTime(5_000);
    world.give("m", "broken", true);
    world.give("l", "on");
    await world.done(turnId);
    expect([toldOf(world, "l"), toldOf(world, "m")]).toEqual([
      ["on", false],
      ["broken", true],
    ]);
    expect(world.events("TOOL_RESULT")[0]?.data).toMatchObject({ tool_use_id: "m", duration_seconds: 5 });
  });

  test("[ASK17] [ASK12] takes one result: the same again is no error, any other is, and of other calls there is none", async () => {
    const world = new AskingWorld([[lampCall("l"), writeTo("w")]]);
    const turnId = await world.ask();
    world.give("l", "on");
    world.give("l", "on");
    world.give("l", "on", false);
    expect(() => world.give("l", "off")).toThrow(code("already_answered"));
    expect(() => world.give("l", "on", true)).toThrow(code("already_answered"));
    expect(() => world.give("w", "done")).toThrow(code("not_found"));
    expect(() => world.give("nothing", "on")).toThrow(code("not_found"));
    world.say("w", "deny");
    await world.done(turnId);
    world.give("l", "on");
    expect(world.happened.filter((word) => word === "result l")).toHaveLength(1);
  });

  test("[ASK17] one that must be approved takes no result before that, and none after a denial", async () => {
    const world = new AskingWorld([[lampCall("l"), lampCall("m")]], { permissions: { lamp: "ask" } });
    const turnId = await world.ask();
    expect(world.session.describe().pending_inputs).toMatchObject([{ kind: "approval" }, { kind: "approval" }]);
    expect(() => world.give("l", "on")).toThrow(code("session_busy"));
    world.say("l", "allow");
    expect(world.session.describe().pending_inputs).toMatchObject([{ kind: "tool" }, { kind: "approval" }]);
    world.say("m", "deny");
    expect(() => world.give("m", "on")).toThrow(code("already_answered"));
    world.give("l", "on");
    await world.done(turnId);
    const asked = ["call l", "call m", "ask l", "ask m", "waiting l m"];
    // Who follows the log hears that its result is due now.
    const waitsAgain = ["allow l", "waiting m l"];
    expect(world.happened).toEqual([...asked, ...waitsAgain, "deny m", "error m", "result l", "end complete"]);
  });

  test("[ASK17] has a deadline of its own, from when it was asked for", async () => {
    const world = new AskingWorld([[lampCall("l")]], {
      permissions: { lamp: "ask" },
      settings: { tools: [{ ...LAMP, timeout_seconds: 30 }] },
    });
    const turnId = await world.ask();
    vi.advanceTimersByTime(3_600_000);
    world.session.resume();
    world.say("l", "allow");
    expect(world.session.answers.deadline).toBe(Date.now() + 30_000);
    vi.advanceTimersByTime(30_000);
    expect(() => world.give("l", "late")).toThrow(code("already_answered"));
    await world.done(turnId);
    expect(toldOf(world, "l")).toEqual([expect.stringMatching(/may or may not/), true]);
  });

  test("[ASK14] [ASK17] one that its client may have run is not said to have changed nothing when its turn ends", async () => {
    const world = new AskingWorld([[lampCall("l"), writeTo("w")]]);
    await world.ask();
    await world.session.cancel();
    await passTimeUntil(world.run("and now?"));
    expect(toldOf(world, "l")).toEqual([expect.stringMatching(/may or may not/), true]);
    expect(toldOf(world, "w")).toEqual([expect.stringMatching(/changed nothing/), true]);
  });

  test("[ASK17] an id that the model gives again names the newer call", async () => {
    const world = new AskingWorld([[lampCall("l")], [lampCall("l")]]);
    const turnId = await world.ask();
    world.give("l", "on");
    await world.waits(2);
    expect(() => world.session.takeResult(ALICE, "l", { content: "off" })).not.toThrow();
    await world.done(turnId);
    expect(world.happened.filter((word) => word === "result l")).toHaveLength(2);
  });

  test("[ASK16] its name must be free", () => {
    for (const name of ["write", "ask_user", "wait"]) {
      expect(() => checkClientTools({ tools: [LAMP, { ...LAMP, name }] })).toThrow(code("invalid_request"));
    }
    expect(() => checkClientTools({ tools: [LAMP] })).not.toThrow();
  });

  test("[ASK16] its name is none that every object has", () => {
    for (const name of Object.getOwnPropertyNames(Object.prototype)) {
      expect([name, clientTools.safeParse([{ ...LAMP, name }]).success]).toEqual([name, false]);
    }
    expect(clientTools.safeParse([LAMP, { ...LAMP, name: "prototype" }]).success).toBe(true);
  });

  test("[ASK7] the question whether it may run is one line, whatever its input", async () => {
    const path = "a\nAllowed already.\u2028\u202e";
    const world = new AskingWorld([[toolUse("l", "lamp", { path })]], { permissions: { lamp: "ask" } });
    await world.ask();
    const message = world.events("AUTH_REQUIRED")[0]?.data.message ?? "";
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
});

describe("what a session may say", () => {
  const gateway = parseGatewaySettings({ GATEWAY_PERMISSIONS: '{"write":"ask","read":"deny"}' });
  const ruled = createToolRegistry().ruled();
  const world = () => new AskingWorld([], { permissions: {} });

  test.for([[{ write: "allow" }], [{ edit: "allow" }], [{ "*": "ask" }], [{ "r*": "allow" }]] as const)(
    "[ASK4] %o is looser than the gateway's, which only an admin may say, and has to",
    ([permissions]) => {
      expect(() => loosenedFields(ALICE, { permissions }, gateway, ruled)).toThrow(code("forbidden"));
      expect(() => loosenedFields(ROOT, { permissions }, gateway, ruled)).toThrow(code("forbidden"));
      const said = { permissions, loosen_permissions: true };
      expect(() => loosenedFields(ALICE, said, gateway, ruled)).toThrow(code("forbidden"));
      expect(loosenedFields(ROOT, said, gateway, ruled)).toEqual({ permissions: true });
    },
  );

  test("[ASK4] what tightens is anybody's, and a default that allows is not", () => {
    expect(loosenedFields(ALICE, { permissions: { write: "deny", list: "ask" } }, gateway, ruled)).toEqual({});
    expect(() => loosenedFields(ALICE, { input_default: "allow" }, gateway, ruled)).toThrow(code("forbidden"));
    const loose = { permissions: { write: "allow" as const }, loosened: { permissions: true as const } };
    const settings = { ...world().session.settings, ...loose };
    // What an admin has loosened, its owner may tighten and not say again.
    const again = { permissions: { write: "allow" as const } };
    expect(() => patchSettings(ALICE, settings, again, gateway)).toThrow(code("forbidden"));
    expect(patchSettings(ALICE, settings, { permissions: { write: "ask" } }, gateway).loosened).toBeUndefined();
    for (const body of [{ title: "x" }, { input_default: "deny" as const }]) {
      expect(patchSettings(ALICE, settings, body, gateway).loosened).toEqual({ permissions: true });
    }
    const said = patchSettings(ROOT, settings, { ...again, loosen_permissions: true }, gateway);
    expect(said).toMatchObject(loose);
    // To loosen one thing is not to loosen another that the gateway has tightened since.
    const before = { ...world().session.settings, permissions: { write: "allow" as const } };
    const one = patchSettings(ROOT, before, { input_default: "allow", loosen_permissions: true }, gateway);
    expect(one.loosened).toEqual({ input_default: true });
    // What is not named has no part in it: the gateway's own holds it where it counts.
    const slow = { ...world().session.settings, input_timeout_seconds: 900, input_default: "allow" as const };
    const hour = parseGatewaySettings({ GATEWAY_INPUT_TIMEOUT_SECONDS: "600" });
    expect(patchSettings(ALICE, slow, { input_default: "deny" }, hour).loosened).toBeUndefined();
    expect(patchSettings(ALICE, slow, { input_timeout_seconds: 60 }, hour).loosened).toBeUndefined();
    expect(() => patchSettings(ALICE, slow, { input_timeout_seconds: 601 }, hour)).toThrow(code("forbidden"));
    expect(said).not.toHaveProperty("loosen_permissions");
  });

  test("[SESSION10] what is asked of whom is changed by those who may decide", () => {
    const { settings } = world().session;
    const writer = { user_id: "alice", scopes: ["read" as const, "write" as const] };
    for (const body of [{ permissions: {} }, { input_default: "deny" as const }, { input_timeout_seconds: 60 }]) {
      expect(() => patchSettings(writer, settings, body, gateway)).toThrow(code("forbidden"));
    }
    expect(patchSettings(writer, settings, { title: "x" }, gateway)).toMatchObject({ title: "x" });
    const asked = patchSettings(ALICE, settings, { input_default: "deny", input_timeout_seconds: 60 }, gateway);
    expect(asked).toMatchObject({ input_default: "deny", input_timeout_seconds: 60 });
    const cleared = patchSettings(ALICE, asked, { input_default: null, input_timeout_seconds: null }, gateway);
    expect([cleared.input_default, cleared.input_timeout_seconds]).toEqual([undefined, undefined]);
  });
});
