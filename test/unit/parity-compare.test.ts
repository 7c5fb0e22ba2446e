import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compare } from "../../src/parity/compare/compare.ts";
import type { Observation } from "../../src/parity/compare/observation.ts";
import type { Event } from "../../src/protocol/events.ts";
import {
  askedQuestion,
  type Block,
  type Circumstances,
  circumstances,
  madeFile,
  observed,
  type Story,
  showed,
  tell,
} from "../support/parity-story.ts";

const [a, b, c] = [circumstances("A"), circumstances("B"), circumstances("C")];

const cuts = fc.array(fc.nat(40), { maxLength: 6 });

/** Everything that happens in a turn, its blocks cut one way for some and another way for others. */
const blocks = fc.array(
  fc.record({
    block: fc.constantFrom<Block["block"]>("TEXT", "THINKING"),
    text: fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }),
    discarded: fc.boolean(),
    withFile: fc.boolean(),
    cuts: fc.tuple(cuts, cuts, cuts),
    endsAlone: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
  }),
  { minLength: 1, maxLength: 5 },
);
type Blocks = typeof blocks extends fc.Arbitrary<infer T> ? T : never;

function storyOf(all: Blocks, which: 0 | 1 | 2, place: Circumstances): Story {
  let hasFile = false;
  return all.flatMap(({ block, text, discarded, withFile, ...way }, index): Story => {
    const piece = { block, text, cuts: way.cuts[which], endsAlone: way.endsAlone[which] };
    const file = withFile && !hasFile ? madeFile(place, "work_products/ü.txt") : [];
    hasFile ||= withFile;
    return [piece, ...(discarded ? [{ discard: [index] }] : []), ...file];
  });
}

/** The same turn three times, in sessions of their own, cut in three ways. */
function threeOf(all: Blocks): [Event[], Event[], Event[]] {
  return [tell(storyOf(all, 0, a), a), tell(storyOf(all, 1, b), b), tell(storyOf(all, 2, c), c)];
}

function compareThree(events: readonly [Event[], Event[], Event[]], scope: "log" | "turn"): string[] {
  const [one, two, three] = events;
  const observations = [
    observed("one", one, { scope }),
    observed("two", two, { scope }),
    observed("three", three, { scope }),
  ];
  return compare(observations).map(({ entry }) => entry);
}

const scopes = fc.constantFrom("log" as const, "turn" as const);

describe("events", () => {
  test("[PARITY2] ids, times and any cutting of text make no difference", () => {
    fc.assert(
      fc.property(blocks, scopes, (all, scope) => {
        expect(compareThree(threeOf(all), scope)).toEqual([]);
      }),
    );
  });

  test("[PARITY2] [PARITY12] what is asked is compared, but for its ids, its deadline and who answered", () => {
    const asking = (letter: string, response = "blue") => {
      const place = circumstances(letter);
      return observed(letter, tell(askedQuestion(place, response), place));
    };
    expect(compare([asking("A"), asking("B"), asking("C")])).toEqual([]);
    const told = compare([asking("A"), asking("B"), asking("C", "blew")]).map(({ entry, check }) => [entry, check]);
    expect(told).toEqual(
      expect.arrayContaining([
        ["C", "STATUS"],
        ["C", "TOOL_RESULT"],
      ]),
    );
  });

  test("[PARITY2] an event that is missing is a difference of the one that lacks it", () => {
    fc.assert(
      fc.property(blocks, scopes, fc.nat(), (all, scope, at) => {
        const events = threeOf(all);
        const index = at % events[1].length;
        fc.pre(!isDiscarded(events[1], index));
        events[1].splice(index, 1);
        expect(new Set(compareThree(events, scope))).toEqual(new Set(["two"]));
      }),
    );
  });

  test("[PARITY2] an event that comes twice is a difference", () => {
    fc.assert(
      fc.property(blocks, scopes, fc.nat(), fc.nat(), (all, scope, at, later) => {
        const events = threeOf(all);
        const twice = at % events[1].length;
        const again = twice + 1 + (later % (events[1].length - twice));
        events[1].splice(again, 0, ...events[1].slice(twice, twice + 1));
        expect(new Set(compareThree(events, scope))).toEqual(new Set(["two"]));
      }),
    );
  });

  test("[PARITY2] two events that change places are a difference", () => {
    fc.assert(
      fc.property(blocks, scopes, fc.nat(), fc.nat(), (all, scope, first, second) => {
        const events = threeOf(all);
        const [i, j] = [first % events[1].length, second % events[1].length];
        fc.pre(i !== j);
        const [left, right] = [events[1][i], events[1][j]];
        if (left === undefined || right === undefined) return;
        [events[1][i], events[1][j]] = [right, left];
        expect(new Set(compareThree(events, scope))).toEqual(new Set(["two"]));
      }),
    );
  });

  test("[PARITY2] one value that is another, be it by one character, is a difference", () => {
    fc.assert(
      fc.property(blocks, scopes, fc.nat(), fc.nat(), (all, scope, at, where) => {
        const events = threeOf(all);
        const index = at % events[1].length;
        const event = events[1][index];
        if (event === undefined) return;
        fc.pre(!isDiscarded(events[1], index));
        const places = placesIn(event);
        const place = places[where % places.length];
        if (place === undefined) return;
        // Between the pieces of a block there may be events that a turn's stream does not bring.
        fc.pre(scope === "log" || place[0] !== "cursor" || (event.type !== "TEXT" && event.type !== "THINKING"));
        events[1][index] = changedAt(event, place);
        expect(new Set(compareThree(events, scope)), place.join(".")).toEqual(new Set(["two"]));
      }),
    );
  });

  test("[PARITY7] the event is named, with what was expected and what was found", () => {
    const story: Story = [{ block: "TEXT", text: "It is done, all of it." }];
    const [one, two, three] = [tell(story, a), tell(story, b), tell(story, c)];
    const other = tell([{ block: "TEXT", text: "It is gone, all of it." }], b);
    expect(compare([observed("one", one), observed("two", other), observed("three", three)])).toEqual([
      {
        entry: "two",
        scene: "story",
        check: "TEXT",
        text: 'view, event 4 TEXT: data.text, character 6: expected "It is done, all of it.", found "It is gone, all of it."',
      },
    ]);
    const less = two.filter(({ type }) => type !== "USER_INPUT");
    const found = compare([observed("one", one), observed("two", less, { scope: "turn" }), observed("three", three)]);
    expect(found.filter(({ check }) => check !== "order")).toEqual([
      {
        entry: "two",
        scene: "story",
        check: "USER_INPUT",
        text: 'view, event 2 USER_INPUT: missing: {"text":"Do it.","user_id":"<user_id 1>","metadata":{}}',
      },
    ]);
  });

  test("[PARITY7] where entry points are divided, what most of them bring is expected, else what the first one brings", () => {
    const [yes, no] = [
      (of: Circumstances) => tell([{ block: "TEXT", text: "yes" }], of),
      (of: Circumstances) => tell([{ block: "TEXT", text: "no" }], of),
    ];
    const entries = (...observations: Observation[]) => compare(observations).map(({ entry }) => entry);
    expect(entries(observed("one", no(a)), observed("two", yes(b)), observed("three", yes(c)))).toEqual(["one"]);
    expect(entries(observed("one", no(a)), observed("two", yes(b)))).toEqual(["two"]);
  });
});

describe("what an entry point contradicts itself in", () => {
  const story: Story = [{ block: "TEXT", text: "one two three", cuts: [4, 8] }, ...madeFile(a, "work_products/x")];
  const events = tell(story, a);
  const replayed = tell([{ block: "TEXT", text: "one two three" }, ...madeFile(a, "work_products/x")], a);

  const inViews = (live: Event[], replay: Event[]): Observation => ({
    ...observed("one", live),
    views: [
      { name: "live", timing: "live", scope: "log", streams: [live] },
      { name: "replay", timing: "replay", scope: "log", streams: [replay] },
    ],
  });

  test("[PARITY6] live and replay are one log, to the letter", () => {
    expect(compare([inViews(events, replayed)])).toEqual([]);
    const later = replayed.map((event) =>
      event.type === "TOOL_RESULT" ? { ...event, timestamp: "2026-12-31T00:00:00.000Z" } : event,
    );
    expect(compare([inViews(events, later)])).toEqual([
      {
        entry: "one",
        scene: "story",
        check: "TOOL_RESULT",
        text: expect.stringMatching(/^replay, event 6 TOOL_RESULT, against live: timestamp/),
      },
    ]);
  });

  test("[PARITY3] a result says what the turn's events say", () => {
    const end = events.at(-1);
    if (end?.type !== "ITERATION_END") throw new Error("The turn has no end.");
    const result = {
      turn_id: a.turn,
      session_id: a.session,
      status: end.data.status,
      response_text: "one two three",
      tool_calls: 1,
      work_products: ["work_products/x"],
      usage: end.data.usage,
      trace_id: end.data.trace_id,
      duration_seconds: end.data.duration_seconds,
      cursor: end.cursor,
      pending_inputs: [],
    };
    const told = (change: Partial<typeof result>) =>
      compare([{ ...observed("one", events), endings: [{ kind: "result", result: { ...result, ...change } }] }]).map(
        ({ check, text }) => `${check}: ${text}`,
      );
    expect(told({})).toEqual([]);
    expect(told({ response_text: "one two threw" })).toEqual([
      expect.stringMatching(/^result: the turn's result, against its events: response_text, character 12/),
    ]);
    for (const change of [
      { tool_calls: 2 },
      { work_products: [] },
      { cursor: "7" },
      { trace_id: "0" },
      { duration_seconds: 9 },
      { turn_id: b.turn },
      { session_id: b.session },
    ]) {
      expect(told(change)).toHaveLength(1);
    }
  });

  test("[PARITY3] an exit code says how the turn ended", () => {
    const exit = (code: number) =>
      compare([{ ...observed("one", events), endings: [{ kind: "exit", turnId: a.turn, code }] }]);
    expect(exit(0)).toEqual([]);
    expect(exit(1)).toMatchObject([{ check: "result", text: "exit code: expected 0 for complete, found 1" }]);
  });

  test("[PARITY4] the bytes that are read back are those that the event names", () => {
    const file = { path: "work_products/x", size: 1, sha256: "0".repeat(64) };
    expect(compare([{ ...observed("one", events), files: [file] }])).toEqual([]);
    expect(compare([{ ...observed("one", events), files: [{ ...file, size: 2 }] }])).toMatchObject([
      { check: "files", text: "against its WORK_PRODUCT: size: expected 1, found 2 (work_products/x)" },
    ]);
  });

  test("[PARITY7] a path that fails is told with why, and not compared", () => {
    const failed = { ...observed("two", []), views: [], failure: "failed: it came to no end within 30 s" };
    expect(compare([observed("one", events), failed, observed("three", tell(story, a))])).toEqual([
      { entry: "two", scene: "story", check: "answers", text: "failed: it came to no end within 30 s" },
    ]);
  });
});

describe("files and what is shown", () => {
  test("[PARITY4] the same paths with the same bytes", () => {
    const withFiles = (entry: string, ...files: Observation["files"]) => ({ ...observed(entry, []), views: [], files });
    const file = { path: "a", size: 1, sha256: "0" };
    const others = [withFiles("one", file), withFiles("two", file)];
    expect(compare([...others, withFiles("three", file)])).toEqual([]);
    expect(compare([...others, withFiles("three", { ...file, sha256: "1" })])).toMatchObject([
      { entry: "three", check: "files", text: 'a.sha256, character 0: expected "0", found "1"' },
    ]);
    expect(compare([...others, withFiles("three")])).toMatchObject([{ entry: "three", check: "files" }]);
    expect(compare([...others, withFiles("three", file, { ...file, path: "b" })])).toMatchObject([{ entry: "three" }]);
  });

  test("[PARITY5] the same on stdout and on stderr", () => {
    const shown = { stdout: "text", stderr: "complete in # s, 0 tools\n" };
    const others = [showed("one", shown), showed("two", shown)];
    expect(compare([...others, showed("three", shown)])).toEqual([]);
    expect(compare([...others, showed("three", { ...shown, stdout: "test" })])).toMatchObject([
      { entry: "three", check: "shown", text: 'shown live: stdout, character 2: expected "text", found "test"' },
    ]);
    expect(compare([...others, showed("three", { ...shown, stderr: "" })])).toMatchObject([{ entry: "three" }]);
  });
});

/** Whether this is a piece of a block that is discarded later: of its text nothing is left to compare. */
function isDiscarded(events: readonly Event[], index: number): boolean {
  const seq = events[index]?.seq ?? 0;
  return events.some(({ type, data }) => type === "STATUS" && "discard" in data && data.discard.includes(seq));
}

type Place = (string | number)[];

/** What two sessions do not share, and what belongs to no event's meaning. */
const OWN = new Set([
  "turn_id",
  "timestamp",
  "session_id",
  "user_id",
  "workspace",
  "time_offset",
  "delay_seconds",
  "duration_seconds",
]);

/** Every value in an event that is to be the same everywhere, by its place. */
function placesIn(value: unknown, place: Place = []): Place[] {
  if (OWN.has(String(place.at(-1)))) return [];
  if (typeof value !== "object" || value === null) return [place];
  return Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...place, key]));
}

/** The value with one leaf changed as little as can be. */
function changedAt<T>(value: T, place: Place): T {
  const copy = structuredClone(value);
  let container: unknown = copy;
  for (const key of place.slice(0, -1)) container = Reflect.get(Object(container), key);
  const key = place.at(-1) ?? "";
  Reflect.set(Object(container), key, changed(Reflect.get(Object(container), key)));
  return copy;
}

function changed(leaf: unknown): unknown {
  if (typeof leaf === "number") return leaf + 1;
  if (typeof leaf === "boolean") return !leaf;
  if (typeof leaf === "string") return leaf === "" ? "x" : `${leaf.slice(0, -1)}${leaf.endsWith("0") ? "1" : "0"}`;
  return "something";
}
