import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { checkAccepted } from "../chaos/check-accepted.ts";
import { checkLog } from "../chaos/check-log.ts";
import { checkAgreement, checkFrames, checkWatcher } from "../chaos/check-watcher.ts";
import { checkWorkspace } from "../chaos/check-workspace.ts";
import { alterLeaf } from "../support/alter.ts";
import { AlteredLog, isDiscarded, renumbered } from "../support/altered-log.ts";
import { type ChaosStory, playChaosStory } from "../support/chaos-story.ts";
import { passTimeUntil } from "../support/pass-time.ts";

let story: ChaosStory;
let good: AlteredLog;
beforeAll(async () => {
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.useFakeTimers();
  story = await passTimeUntil(playChaosStory());
  vi.useRealTimers();
  good = new AlteredLog(story.log);
});
afterAll(() => {
  vi.restoreAllMocks();
});

const watched = (frames: readonly Event[], how = "client") => ({
  how,
  seen: frames.map((event) => ({ event, at: 0 })),
});
const workspaceFaults = (log: readonly Event[], files = story.files) =>
  checkWorkspace(log, files, { puts: [story.put] });

/** All that is told of a session. */
const faultsOf = ({ log, frames, sent, files }: Omit<ChaosStory, "put">) => [
  ...checkLog(log),
  ...checkWatcher(watched(frames), log),
  ...checkAccepted(sent, log),
  ...workspaceFaults(log, files),
];

test("[LOG1] [LOG4] [TURN1] [TURN20] nothing is told of a session that was killed in mid-text and keeps the rules", () => {
  expect(faultsOf(story)).toEqual([]);
  expect(checkFrames(watched(story.frames))).toEqual([]);
  const kinds = story.log.map(({ type, data }) => (type === "STATUS" ? data.status : type));
  expect([...new Set(kinds)].sort()).toEqual(
    [
      ...["ERROR", "ITERATION_END", "SESSION_INFO", "STATUS", "TEXT", "THINKING", "TOOL_CALL", "TOOL_RESULT"],
      ...["USER_INPUT", "WORK_PRODUCT", "file_changed", "processing", "queued", "resumed", "retrying", "steered"],
    ].filter((kind) => kind !== "STATUS"),
  );
  expect(story.frames.length).toBeGreaterThan(story.log.length);
});

/** The first of the calls that were made at once. */
const batch = () => good.placeOfType("TOOL_RESULT", good.placeOfStatus("retrying"));
const lastText = () =>
  good.placeOf((event) => event.type === "TEXT" && !isDiscarded(event), good.placeOfStatus("steered"));

const BROKEN_LOGS: [rule: string, what: string, log: () => Event[], told: RegExp][] = [
  [
    "TURN1",
    "a turn without its end",
    () => good.without(good.placeOfType("ITERATION_END", 30)),
    /has no ITERATION_END/,
  ],
  ["TURN1", "a second end", () => good.twice(good.placeOfType("ITERATION_END", 30)), /turn's last event/],
  ["TURN1", "text after the end", () => good.moved(lastText(), lastText() + 1), /does not run/],
  ["TURN1", "a turn without its message", () => good.without(good.placeOfType("USER_INPUT")), /USER_INPUT must/],
  ["TURN1", "two beginnings", () => good.twice(good.placeOfType("SESSION_INFO")), /begins a second time/],
  [
    "TURN3",
    "an end of a turn that waits as another",
    () => good.changed(good.placeOfType("ITERATION_END"), { status: "complete" }),
    /must/,
  ],
  [
    "TURN4",
    "a turn that begins inside another",
    () => good.moved(good.placeOfType("SESSION_INFO", 20), 25),
    /begins while/,
  ],
  [
    "EVENT6",
    "a wrong place in the queue",
    () => good.changed(good.placeOfStatus("queued"), { position: 3 }),
    /place 3/,
  ],
  [
    "TURN5",
    "another text than the one that waited",
    () => good.changed(good.placeOfStatus("queued"), { text: "x" }),
    /expected "x"/,
  ],
  ["TOOL2", "a call without a result", () => good.without(batch()), /without a result/],
  ["TOOL2", "two results of a call", () => good.twice(batch()), /has its result/],
  [
    "TOOL4",
    "results in another order than the calls",
    () => good.moved(batch(), batch() + 1),
    /expected the result of toolu_demo_2/,
  ],
  [
    "TURN9",
    "text between a call and its result",
    () => good.moved(good.placeOfType("TEXT"), good.placeOfType("TEXT") + 1),
    /before the results/,
  ],
  [
    "TURN9",
    "a message of which a part is missing",
    () => good.moved(good.placeOfType("TEXT"), batch() - 2),
    /follows open calls|before the results/,
  ],
  [
    "TOOL5",
    "a product apart from its call",
    () => good.moved(good.placeOfType("WORK_PRODUCT"), 11),
    /come with a call/,
  ],
  [
    "BLOCK8",
    "a discard that names too little",
    () => good.changed(good.placeOfStatus("resumed"), { discard: [] }),
    /expected the discard/,
  ],
  [
    "BLOCK8",
    "an ERROR that does not name its blocks",
    () => good.changed(good.placeOfType("ERROR"), { discard: [] }),
    /expected the discard/,
  ],
  [
    "BLOCK8",
    "a dropped block that nothing names",
    () => good.without(good.placeOfStatus("resumed")),
    /nothing has named/,
  ],
  [
    "BLOCK7",
    "a dropped block that keeps its text",
    () => good.changed(good.placeOf(isDiscarded), { text: "x" }),
    /has characters/,
  ],
  [
    "BLOCK7",
    "a block that stays of a step that is dropped",
    () => good.changed(good.placeOf(isDiscarded), { discarded: undefined, text: "x" }),
    /expected the discard of \[\]/,
  ],
  ["BLOCK3", "a block that never ends", () => good.changed(lastText(), { done: false }), /never ends/],
  [
    "MODEL5",
    "a wrong attempt",
    () => good.changed(good.placeOfStatus("retrying"), { attempt: 4 }),
    /attempt 2, found 4/,
  ],
  ["MODEL7", "a failure without an ERROR", () => good.without(good.placeOfType("ERROR")), /without an ERROR/],
  [
    "EVENT14",
    "a preview that is too short",
    () => good.changed(batch(), { content_preview: "on" }),
    /shows 2 characters of 4/,
  ],
  ["EVENT2", "an event without its turn", () => story.log.with(8, { ...good.at(8), turn_id: null }), /has no turn/],
];

test.for(BROKEN_LOGS)("[%s] of a log is told: %s", ([, , log, told]) => {
  expect(checkLog(log()).join("\n")).toMatch(told);
});

test("[LOG1] [TURN20] a turn that need not have ended may stand anywhere", () => {
  const end = good.placeOfType("ITERATION_END", 12);
  const [running, waiting, withdrawn] = [good.at(0), good.at(3), good.at(4)].map(({ turn_id }) => turn_id ?? "");
  if (running === undefined || waiting === undefined || withdrawn === undefined)
    throw new Error("The story is shorter.");
  for (let length = 5; length <= end; length++) {
    // What a crash has discarded is never seen before it is named.
    if (isDiscarded(good.at(length - 1))) continue;
    expect(checkLog(story.log.slice(0, length), [running, waiting, withdrawn]), `${length} events`).toEqual([]);
  }
  expect(checkLog(story.log.slice(0, end), [waiting])).toEqual([`${running}: has no ITERATION_END`]);
});

describe("of what a client saw is told", () => {
  /** A frame of text, of a block that was kept or not. */
  const textFrame = (discarded: boolean) => {
    const at = story.frames.findIndex(
      ({ type, seq, data }) => type === "TEXT" && data.text !== "" && isDiscarded(good.at(seq - 1)) === discarded,
    );
    const frame = story.frames[at];
    if (frame?.type !== "TEXT") throw new Error("The story has no such frame.");
    const saying = (text: string) => story.frames.with(at, { ...frame, data: { ...frame.data, text } });
    return { text: frame.data.text, saying };
  };

  test("[LOG4] an event that never came, and one that the log does not have", () => {
    const { length } = story.log;
    expect(checkWatcher(watched(story.frames.slice(0, -1)), story.log)).toEqual([
      `client: never saw event ${length} ITERATION_END`,
    ]);
    expect(checkWatcher(watched(story.frames), story.log.slice(0, -1))).toEqual([
      `client: saw event ${length} ITERATION_END, which is not in the log`,
    ]);
  });

  test("[LOG2] text that is neither in the log nor named by a discard", () => {
    const { text, saying } = textFrame(false);
    expect(checkWatcher(watched(saying(`${text}more`)), story.log).join("\n")).toMatch(/more/);
    const lost = good.placeOfStatus("resumed");
    const forgotten = story.log.toSpliced(lost - 1, 2);
    expect(checkWatcher(watched(story.frames), renumbered(forgotten))).not.toEqual([]);
  });

  test("[ID8] a frame that ends inside a character", () => {
    const torn = textFrame(false).saying("\ud83d");
    expect(checkFrames(watched(torn)).join("\n")).toMatch(/inside a character/);
  });

  test("[LOG3] [WS11] other text than another client saw, also where it was discarded", () => {
    const { text, saying } = textFrame(true);
    const other = saying(`x${text.slice(1)}`);
    expect(checkWatcher(watched(other), story.log)).toEqual([]);
    const both = [watched(story.frames, "a"), watched(story.log, "b")];
    expect(checkAgreement(both)).toEqual([]);
    const told = checkAgreement([...both, watched(other, "c")]);
    expect(told).toEqual([expect.stringMatching(/^c against a, event \d+ TEXT: text, character 0: expected "1 /)]);
  });
});

type Told = Omit<ChaosStory, "put">;
const alterEvent = (events: readonly Event[], at: number, pick: number): Event[] =>
  events.with(at, Object.assign({ ...placedIn(events, at) }, { data: alterLeaf(placedIn(events, at).data, pick) }));
const placedIn = (events: readonly Event[], at: number): Event => events[at] ?? good.at(0);
const swap = <T>(list: readonly T[], at: number): T[] => list.toSpliced(at, 2, ...list.slice(at, at + 2).reverse());
const putAt = <T extends object>(list: readonly T[], at: number, change: (one: T) => Partial<T>): T[] =>
  list.map((one, i) => (i === at ? { ...one, ...change(one) } : one));

const OF_EVENTS: Record<string, (events: readonly Event[], at: number, pick: number) => Event[]> = {
  "one is missing": (events, at) => events.toSpliced(at, 1),
  "one comes twice": (events, at) => events.toSpliced(at, 0, placedIn(events, at)),
  "two change places": (events, at) => swap(events, at),
  "another seq": (events, at) => putAt(events, at, ({ seq }) => ({ seq: seq + 1 })),
  "another cursor": (events, at) => putAt(events, at, ({ cursor }) => ({ cursor: `${cursor}1` })),
  "another time": (events, at) => putAt(events, at, () => ({ timestamp: "2001-01-01T00:00:00.000Z" })),
  "another turn": (events, at) => putAt(events, at, () => ({ turn_id: "turn_01ARZ3NDEKTSV4RRFFQ69G5FAV" })),
  "a changed character, number or truth": alterEvent,
};

const anyAlteration = fc.record({
  of: fc.constantFrom<"log" | "frames">("log", "frames"),
  how: fc.constantFrom(...Object.keys(OF_EVENTS)),
  at: fc.nat(),
  pick: fc.nat(),
});

/** What a client had of a block before it was dropped, it may have had less of, and nobody else knows. */
function onlyClientKnows(alteration: { of: "log" | "frames"; how: string }, frame: Event): boolean {
  const lost = alteration.of === "frames" && isDiscarded(good.at(frame.seq - 1));
  return lost && (alteration.how === "one is missing" || alteration.how.startsWith("a changed"));
}

test("[LOG1] [LOG2] [LOG3] [LOG4] [BLOCK2] whatever one thing is altered in a log or in what a client saw, it is told", () => {
  fc.assert(
    fc.property(anyAlteration, (alteration) => {
      const { of, how, pick } = alteration;
      const events = story[of];
      const at = alteration.at % events.length;
      fc.pre(!onlyClientKnows(alteration, placedIn(events, at)));
      const altered = OF_EVENTS[how]?.(events, at, pick) ?? [];
      fc.pre(JSON.stringify(altered) !== JSON.stringify(events));
      const told: Told = { ...story, [of]: altered };
      expect(faultsOf(told), `${of}: ${how} at ${at}`).not.toEqual([]);
    }),
    { numRuns: 300 },
  );
});
