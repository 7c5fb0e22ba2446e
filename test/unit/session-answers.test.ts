import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import type { Principal } from "../../src/protocol/principal.ts";
import { AskingWorld, askUser, lampCall, writeTo } from "../support/asking-world.ts";
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

const BOB: Principal = { user_id: "bob", scopes: ["read", "approve"] };
const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });
const list = (id: string) => toolUse(id, "list", {});

/** What the model was told of a call. */
function toldOf({ model }: AskingWorld, toolUseId: string): unknown {
  const blocks = model.requests.at(-1)?.messages.flatMap(({ content }) => content) ?? [];
  return blocks.find((block) => block["tool_use_id"] === toolUseId)?.["content"];
}

describe("a call that must be allowed", () => {
  test("[ASK7] [ASK8] [ASK11] all are asked at once, calls before them run, those after them wait too", async () => {
    const world = new AskingWorld([[list("a"), writeTo("b"), list("c"), writeTo("d")]]);
    const turnId = await world.ask();
    const calls = ["call a", "call b", "call c", "call d", "ask b", "ask d", "result a", "waiting b d"];
    expect(world.happened).toEqual(calls);
    expect(world.session.describe()).toMatchObject({ status: "waiting", active_turn: turnId });
    expect(world.session.turn(turnId)).toMatchObject({ status: "waiting", pending_inputs: [{}, {}] });
    expect(world.pending).toEqual(["b", "d"]);
    // The later one alone lets nothing go on.
    world.say("d", "allow");
    await passTimeUntil(Promise.resolve());
    expect(world.pending).toEqual(["b"]);
    world.say("b", "allow");
    expect((await world.done(turnId)).pending_inputs).toEqual([]);
    const after = ["allow d", "allow b", "result b", "result c", "result d", "end complete"];
    expect(world.happened).toEqual([...calls, ...after]);
    expect([world.file("b.txt"), world.file("d.txt")]).toEqual(["b", "d"]);
  });

  test("[ASK7] a call that was not valid when it was made is not run by a version that knows it", async () => {
    let runs = 0;
    const rest = { description: "", readOnly: false, retry: "safe" as const };
    const run = async () => `run ${++runs}`;
    const later = { name: "later", input: z.unknown().refine(() => false), run, ...rest };
    const calls = [writeTo("a"), toolUse("b", "later", {})];
    const world = new AskingWorld([calls], { permissions: { "*": "ask" }, tools: [later] });
    const turnId = await world.ask();
    world.kill();
    Object.assign(later, { input: z.unknown() });
    world.start();
    world.say("a", "deny");
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["error a", "error b", "end complete"]);
    expect(runs).toBe(0);
  });

  test("[ASK8] the turn waits again for what is left, and says for what", async () => {
    const world = new AskingWorld([[writeTo("a"), writeTo("b")]]);
    const turnId = await world.ask();
    world.say("a", "allow");
    await world.waits(2);
    expect(world.happened.slice(-3)).toEqual(["allow a", "result a", "waiting b"]);
    world.say("b", "deny");
    await world.done(turnId);
    expect(world.happened.slice(-3)).toEqual(["deny b", "error b", "end complete"]);
    expect(world.paths()).toEqual(["a.txt"]);
  });

  test("[ASK7] [ASK6] approvals, questions, denials, clients' calls and calls that cannot be run stand in one message", async () => {
    const bad = toolUse("bad", "write", { path: 1 });
    const calls = [list("x"), toolUse("none", "no_such_tool", {}), writeTo("w"), bad, askUser("q"), lampCall("l")];
    const world = new AskingWorld([calls], { permissions: { write: "ask", list: "deny" } });
    const turnId = await world.ask();
    // What is denied is told of at once, but after what is asked; the others have their place.
    const told = ["call x", "call none", "call w", "call bad", "call q", "call l", "ask w", "ask q", "error x"];
    expect(world.happened).toEqual([...told, "error none", "waiting w q l"]);
    expect(world.pending).toEqual(["w", "q", "l"]);
    world.give("l", "it shines");
    world.say("q", "yes");
    world.say("w", "allow");
    await world.done(turnId);
    expect(world.happened.slice(told.length + 2)).toEqual([
      "result l",
      "yes q",
      "result q",
      "allow w",
      "result w",
      "error bad",
      "end complete",
    ]);
    expect(toldOf(world, "x")).toMatch(/do not allow/);
    expect([toldOf(world, "q"), toldOf(world, "l")]).toEqual(["yes", "it shines"]);
  });

  test("[ASK2] [ASK9] who has writing asked for is asked for edits and removals too", async () => {
    const edit = toolUse("e", "edit", { path: "f.txt", old_string: "1", new_string: "2" });
    const world = new AskingWorld([[edit, toolUse("d", "delete", { path: "f.txt" })]]);
    world.put("f.txt", "1");
    const turnId = await world.ask();
    expect(world.pending).toEqual(["e", "d"]);
    expect(world.file("f.txt")).toBe("1");
    world.say("e", "allow");
    await world.waits(2);
    expect(world.file("f.txt")).toBe("2");
    world.say("d", "deny");
    await world.done(turnId);
    expect(world.file("f.txt")).toBe("2");
  });

  test("[ASK11] an answer says who gave it and how, to all", async () => {
    const world = new AskingWorld([[writeTo("a"), writeTo("b")]]);
    await world.ask();
    world.say("a", "allow", BOB);
    world.session.answer({ user_id: "alice", scopes: ["approve"] }, world.inputOf("b"), "deny", "link");
    const answered = world.events("STATUS").flatMap(({ data }) => (data.status === "answered" ? [data] : []));
    expect(answered).toMatchObject([
      { input_id: world.inputOf("a"), response: "allow", user_id: "bob", via: "token" },
      { input_id: world.inputOf("b"), response: "deny", user_id: "alice", via: "link" },
    ]);
  });

  test("[ASK11] [ASK6] a call that was not allowed tells the model so, and nothing was run", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    world.say("a", "deny");
    await world.done(turnId);
    expect(toldOf(world, "a")).toMatch(/did not allow/);
    expect(world.paths()).toEqual([]);
  });

  test("[ASK12] the first answer settles it; the same again is no error, any other is", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = await world.ask();
    const first = world.say("a", "allow");
    expect(world.say("a", "allow", BOB)).toEqual(first);
    expect(() => world.say("a", "deny")).toThrow(code("already_answered"));
    await world.done(turnId);
    const before = world.log().length;
    expect(world.say("a", "allow")).toEqual(first);
    expect(() => world.say("a", "deny")).toThrow(code("already_answered"));
    expect(world.log()).toHaveLength(before);
  });

  test("[ASK19] an approval is allowed or denied, and nothing else", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    await world.ask();
    for (const response of ["", "Allow", "yes", "allow "]) {
      expect(() => world.say("a", response)).toThrow(code("invalid_request"));
    }
    expect(() => world.session.answer(BOB, "input_nothing", "allow", "token")).toThrow(code("not_found"));
    expect(world.pending).toEqual(["a"]);
  });

  test("[ASK18] what is asked can be looked at, before and after", async () => {
    const world = new AskingWorld([[writeTo("a", "f/a.txt"), askUser("q")]]);
    const turnId = await world.ask();
    const look = (id: string) => world.session.answers.input(world.inputOf(id));
    const asked = { turn_id: turnId, status: "pending", response: null, expires_at: "2026-10-08T12:00:00.000Z" };
    const input = { path: "f/a.txt", content: "a" };
    expect(look("a")).toMatchObject({ ...asked, kind: "approval", tool: "write", tool_input: input, default: "deny" });
    expect(look("a").message).toBe("Allow write f/a.txt?");
    expect(look("q")).toMatchObject({ ...asked, kind: "question", message: "q?", tool: "ask_user", default: null });
    world.say("a", "deny");
    expect(look("a")).toMatchObject({ status: "settled", response: "deny" });
    await passTimeUntil(world.session.cancel());
    expect(look("q")).toMatchObject({ status: "settled", response: null });
  });

  test("[ASK5] permissions that change count for later messages", async () => {
    const world = new AskingWorld([[writeTo("a")], [writeTo("b")], [writeTo("c")]]);
    const turnId = await world.ask();
    world.session.patch({ user_id: "alice", scopes: ["approve"] }, { permissions: {} });
    expect(world.pending).toEqual(["a"]);
    world.say("a", "allow");
    await world.done(turnId);
    expect(world.happened.filter((word) => word.startsWith("ask"))).toEqual(["ask a"]);
    expect(world.paths()).toEqual(["a.txt", "b.txt", "c.txt"]);
  });

  test("[ASK3] [ASK1] the stricter of the gateway's and the session's rules counts, by name before pattern", async () => {
    const world = new AskingWorld([[list("a"), writeTo("b"), toolUse("c", "read", { path: "b.txt" })]], {
      permissions: { "*": "ask", list: "allow" },
      gateway: { GATEWAY_PERMISSIONS: '{"read":"deny"}' },
    });
    await world.ask();
    expect(world.happened.slice(3)).toEqual(["ask b", "error c", "result a", "waiting b"]);
  });

  test("[ASK12] nothing is asked in a message with which its turn ends", async () => {
    const world = new AskingWorld([[writeTo("a")]]);
    const turnId = world.submit("go");
    await Promise.resolve();
    const cancelled = world.session.cancel();
    await passTimeUntil(cancelled);
    await world.done(turnId);
    expect(world.happened.filter((word) => word.startsWith("ask"))).toEqual([]);
  });
});
