import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { GatewayError } from "../../src/protocol/errors.ts";
import { AskingWorld, askUser, LAMP, lampCall, writeTo } from "../support/asking-world.ts";
import { type BlockSpec, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { expectFault } from "../support/statement-fault.ts";
import { passTicks } from "../support/ticks.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const TIMEOUT_MS = 60_000;
const DAY_MS = 86_400_000;
const ANSWERS = ["allow", "deny", "red", "blue"];
const PEOPLE = ["alice", "bob", "carol"];

const MAKERS: Record<string, (id: string) => BlockSpec> = {
  write: writeTo,
  question: askUser,
  lamp: lampCall,
  /** A client's tool that must be approved first. */
  heldLamp: (id) => toolUse(id, "held_lamp", {}),
  list: (id) => toolUse(id, "list", {}),
  denied: (id) => toolUse(id, "glob", { pattern: "*" }),
  unknown: (id) => toolUse(id, "no_such_tool", {}),
  bad: (id) => toolUse(id, "write", { path: 1 }),
};
const anyCalls = fc
  .array(fc.constantFrom(...Object.keys(MAKERS)), { minLength: 1, maxLength: 5 })
  .map((kinds) => kinds.map((kind, i) => MAKERS[kind]?.(`c${i}`)).filter((block) => block !== undefined));

type Act =
  | { act: "answer"; call: number; response: string; by: string }
  | { act: "give"; call: number; content: string }
  | { act: "pass"; ms: number }
  | { act: "die"; statements: number }
  | { act: "alarm" | "cancel" | "interrupt" | "steer" | "restart" };

const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("answer" as const),
      call: fc.nat(4),
      response: fc.constantFrom(...ANSWERS),
      by: fc.constantFrom(...PEOPLE),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant("give" as const), call: fc.nat(4), content: fc.constantFrom("on", "off") }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant("pass" as const), ms: fc.constantFrom(1_000, 3 * DAY_MS, 7 * DAY_MS) }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("die" as const), statements: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom("alarm" as const, "restart" as const, "steer" as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("cancel" as const, "interrupt" as const) }) },
);
const anyActs = fc.array(fc.tuple(act, fc.oneof(fc.nat(12), fc.constant(300))), { maxLength: 25 });

/** What was accepted of what people said, by what they said it about. */
class Accepted {
  readonly #first = new Map<string, string>();

  /** @param settle what answers; a process that dies of it has said nothing */
  say(about: string, what: string, settle: () => void): void {
    try {
      settle();
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) {
        expectFault(thrown);
        return;
      }
      expect(["already_answered", "session_busy", "not_found", "invalid_request"]).toContain(thrown.code);
      // Who says the same as what was accepted is right, whenever.
      if (thrown.code === "already_answered") expect(this.#first.get(about)).not.toBe(what);
      return;
    }
    expect(this.#first.get(about) ?? what, `what was accepted for ${about}`).toBe(what);
    this.#first.set(about, what);
  }

  check(about: string, tookEffect: string | null): void {
    const said = this.#first.get(about);
    if (said !== undefined) expect(tookEffect, `what became of ${about}`).toBe(said);
  }
}

function perform(world: AskingWorld, said: Accepted, what: Act): void {
  if (what.act === "restart" || !world.alive) world.start();
  const { session } = world;
  switch (what.act) {
    case "answer": {
      const asked = world.events("AUTH_REQUIRED").filter(({ data }) => data.tool_use_id === `c${what.call}`);
      for (const { data } of asked) {
        const by = { user_id: what.by, scopes: ["approve" as const] };
        said.say(data.input_id, what.response, () => session.answer(by, data.input_id, what.response, "token"));
      }
      return;
    }
    case "give":
      said.say(`c${what.call}`, what.content, () => world.give(`c${what.call}`, what.content));
      return;
    case "pass":
      vi.setSystemTime(Date.now() + what.ms);
      return;
    case "die":
      world.dieAfter(what.statements);
      return;
    case "alarm":
      session.resume();
      return;
    case "cancel":
      session.cancel().catch(expectFault);
      return;
    case "interrupt":
    case "steer":
      world.submit(what.act, { on_busy: what.act });
      return;
    case "restart":
  }
}

test(
  "[ASK12] [ASK8] [ASK10] [ASK13] [ASK14] answers that race each other, the deadline, a cancel and deaths settle everything once",
  async () => {
    const property = fc.asyncProperty(anyCalls, anyActs, fc.boolean(), async (calls, acts, allowing) => {
      const world = new AskingWorld([calls], {
        permissions: { write: "ask", held_lamp: "ask", glob: "deny" },
        settings: { tools: [LAMP, { ...LAMP, name: "held_lamp" }] },
        gateway: allowing ? { GATEWAY_INPUT_DEFAULT: "allow" } : {},
      });
      const said = new Accepted();
      const turnId = world.submit("go");
      await passTimeUntil(world.until(({ type }) => type === "TOOL_CALL"));
      for (const [what, ticks] of acts) {
        try {
          perform(world, said, what);
        } catch (thrown) {
          if (!(thrown instanceof GatewayError)) expectFault(thrown);
        }
        await passTicks(ticks);
      }
      // Whatever is left, the deadline settles: of an approval first, of its client then.
      if (!world.alive) world.start();
      world.dieAfter(Number.POSITIVE_INFINITY);
      for (let i = 0; i < 12 && !world.events("ITERATION_END").some(({ turn_id }) => turn_id === turnId); i++) {
        await passTicks(400);
        vi.setSystemTime(Date.now() + 8 * DAY_MS);
        world.session.resume();
        await passTicks(400);
      }
      await passTimeUntil(world.ended(turnId));
      const of = <T extends { turn_id: string | null }>(events: T[]) => events.filter((one) => one.turn_id === turnId);
      expect(of(world.events("ITERATION_END"))).toHaveLength(1);
      const results = of(world.events("TOOL_RESULT")).map(({ data }) => data);
      const made = of(world.events("TOOL_CALL")).map(({ data }) => data.id);
      expect(results.map(({ tool_use_id }) => tool_use_id).toSorted()).toEqual(made.toSorted());
      const answered = world.events("STATUS").flatMap(({ data }) => (data.status === "answered" ? [data] : []));
      expect(new Set(answered.map(({ input_id }) => input_id)).size).toBe(answered.length);
      for (const { data } of world.events("AUTH_REQUIRED")) {
        const settled = answered.find(({ input_id }) => input_id === data.input_id);
        said.check(data.input_id, settled?.response ?? null);
        expect(world.session.answers.input(data.input_id).status).toBe("settled");
        if (data.kind !== "approval" || settled?.response === "allow") continue;
        expect(results.find(({ tool_use_id }) => tool_use_id === data.tool_use_id)?.is_error).toBe(true);
        expect(world.file(`${data.tool_use_id}.txt`)).toBeNull();
      }
      for (const { tool_use_id, content_preview } of results) said.check(tool_use_id, content_preview);
      expect(world.pending).toEqual([]);
    });
    await fc.assert(property, { numRuns: Number(process.env["RUNS"] ?? 60) });
  },
  TIMEOUT_MS,
);

const anyPath = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a.txt", "b.txt", "d/c.txt", "new.txt", "./a.txt") },
  { weight: 1, arbitrary: fc.constantFrom("../a", "/etc/passwd", "", "d") },
);
const anyText = fc.constantFrom("x", "xyz", "x x", "");
const anyInput = fc.record(
  {
    path: fc.oneof({ weight: 9, arbitrary: anyPath }, { weight: 1, arbitrary: fc.constantFrom(1, null) }),
    content: anyText,
    mode: fc.constantFrom("append", "overwrite", "sideways"),
    old_string: fc.constantFrom("x", "y", ""),
    new_string: anyText,
    replace_all: fc.boolean(),
    pattern: fc.constantFrom("*", "x", "**/*.txt"),
  },
  { requiredKeys: ["path"] },
);
/** What each tool takes of an input; sometimes what it does not. */
const TAKES: Record<string, string[]> = {
  write: ["path", "content", "mode"],
  edit: ["path", "old_string", "new_string", "replace_all"],
  delete: ["path"],
  read: ["path"],
  list: ["path"],
  glob: ["path", "pattern"],
  grep: ["path", "pattern"],
  no_such_tool: [],
};
const anyUse = fc
  .tuple(fc.constantFrom("write", "write", "edit", "edit", "delete", ...Object.keys(TAKES)), anyInput, fc.nat(9))
  .map(([name, input, odd]) => {
    const kept = Object.entries(input).filter(([key]) => odd === 0 || TAKES[name]?.includes(key));
    return { name, input: Object.fromEntries(kept) };
  });
const anyMessages = fc.array(fc.array(anyUse, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 2 });

const FILES = { "a.txt": "x1 x2", "b.txt": "y", "d/c.txt": "xyz" };
const filesOf = (world: AskingWorld) =>
  world
    .paths()
    .toSorted()
    .map((path) => [path, world.file(path)]);

function open(place: DirectoryPlace | null, messages: BlockSpec[][], asks: boolean): AskingWorld {
  const permissions = asks ? { write: "ask" as const } : {};
  const world = new AskingWorld(messages, {
    permissions,
    settings: { tools: [] },
    ...(place === null ? {} : { place }),
  });
  for (const [path, text] of Object.entries(FILES)) {
    if (place === null) world.put(path, text);
    else place.put({ [`files/${path}`]: text });
  }
  return world;
}

test.each<[string, () => DirectoryPlace | null]>([
  ["a table", () => null],
  ["a directory", () => new DirectoryPlace()],
])(
  "[ASK9] [ASK2] [ASK11] with write: ask nothing changes in %s before an answer, and then what was allowed",
  async (_, openPlace) => {
    vi.useRealTimers();
    const answers = fc.array(fc.tuple(fc.nat(7), fc.boolean(), fc.boolean()), { minLength: 8, maxLength: 8 });
    const property = fc.asyncProperty(anyMessages, answers, async (uses, decisions) => {
      const messages = uses.map((calls, m) => calls.map(({ name, input }, i) => toolUse(`m${m}c${i}`, name, input)));
      const [place, other] = [openPlace(), openPlace()];
      try {
        const world = open(place, messages, true);
        const before = filesOf(world);
        const turnId = world.submit("go");
        const refused = new Set<string>();
        let allowed = false;
        for (let step = 0; ; step++) {
          const seen = world.sent.length;
          const stops = world.until(
            ({ type, data, turn_id }) =>
              (type === "ITERATION_END" && turn_id === turnId) ||
              (type === "STATUS" && data.status === "waiting" && world.session.turn(turnId).status === "waiting"),
          );
          await stops;
          await new Promise(setImmediate);
          if (!allowed) expect(filesOf(world)).toEqual(before);
          if (world.session.turn(turnId).status === "complete") break;
          const [which, yes, restart] = decisions[step % decisions.length] ?? [0, false, false];
          if (restart) world.start();
          const { pending } = world;
          const id = pending[which % Math.max(1, pending.length)];
          if (id === undefined) {
            if (seen === world.sent.length) await new Promise(setImmediate);
            continue;
          }
          world.say(id, yes ? "allow" : "deny");
          if (yes) allowed = true;
          else refused.add(id);
        }
        // The same without what was refused, where nobody is asked, comes to the same.
        const rest = messages.map((calls) => calls.filter(({ start }) => !refused.has(String(start["id"]))));
        const reference = open(
          other,
          rest.filter((calls) => calls.length > 0),
          false,
        );
        await reference.run("go");
        expect(filesOf(world)).toEqual(filesOf(reference));
      } finally {
        place?.[Symbol.dispose]();
        other?.[Symbol.dispose]();
      }
    });
    await fc.assert(property, { numRuns: Number(process.env["RUNS"] ?? 25) });
  },
  TIMEOUT_MS,
);
