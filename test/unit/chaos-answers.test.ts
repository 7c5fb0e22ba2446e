import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import type { Given } from "../chaos/answering.ts";
import { checkAnswers } from "../chaos/check-answers.ts";
import { checkLog } from "../chaos/check-log.ts";
import { checkGoingOn, type Life } from "../chaos/time-to-go-on.ts";
import { AlteredLog } from "../support/altered-log.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { playWaitsStory, type WaitsStory } from "../support/waits-story.ts";

let story: WaitsStory;
let good: AlteredLog;
beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.useFakeTimers();
  story = await passTimeUntil(playWaitsStory());
  vi.useRealTimers();
  good = new AlteredLog(story.log);
});
afterAll(() => {
  vi.restoreAllMocks();
});

const LIMITS = { goOn: 2_000, deadline: 35_000 };
const timeOf = ({ timestamp }: Event) => Date.parse(timestamp);
const lifeOf = (log: readonly Event[]): Life => ({
  startedAt: 0,
  readyAt: 0,
  // The story's time is not this one's.
  killedAt: Number.MAX_SAFE_INTEGER,
  connectedAt: log.map(timeOf),
});

const told = (log: readonly Event[] = story.log, given: readonly Given[] = story.given) =>
  checkAnswers({ waits: story.waits, given }, log, [lifeOf(log)], LIMITS).join("\n");

/** Everything from `at` on comes so much later. */
const later = (at: number, ms: number): Event[] =>
  story.log.map((event, i) => (i < at ? event : { ...event, timestamp: new Date(timeOf(event) + ms).toISOString() }));

const answered = (response: string | null) =>
  good.placeOf(({ type, data }) => type === "STATUS" && data.status === "answered" && data.response === response);
const byDeadline = () =>
  good.placeOf(({ type, data }) => type === "STATUS" && data.status === "answered" && data.via === "deadline");

test("[ASK11] [ASK12] [ASK13] nothing is told of a session whose waits were settled as they are to be", () => {
  expect(checkLog(story.log)).toEqual([]);
  expect(told()).toBe("");
  const statuses = story.log.flatMap(({ type, data }) =>
    type === "STATUS" && data.status === "answered" ? [`${data.response} by ${data.via}`] : [],
  );
  expect(statuses).toEqual(["blue by token", "deny by token", "allow by token", "deny by deadline"]);
  expect(story.given.map(({ outcome }) => outcome?.refused)).toEqual([null, "already_answered", null, null, null]);
});

describe("of answers is told", () => {
  const altered = (at: number, change: (one: Given) => Partial<Given>) =>
    story.given.map((one, i) => (i === at ? { ...one, ...change(one) } : one));

  test("[ASK12] one that was acknowledged and lost, or refused and taken", () => {
    const taken = { at: 0, refused: null };
    expect(
      told(
        story.log,
        altered(1, () => ({ outcome: taken })),
      ),
    ).toMatch(/"red" was acknowledged, and the log says/);
    const refused = { at: 0, refused: "already_answered" as const };
    expect(
      told(
        story.log,
        altered(0, () => ({ outcome: refused })),
      ),
    ).toMatch(/"blue" was refused as late, and was not/);
    const early = { at: 0, refused: "session_busy" as const };
    expect(
      told(
        story.log,
        altered(2, () => ({ outcome: early })),
      ),
    ).toMatch(/refused as early/);
    expect(
      told(
        story.log,
        altered(3, () => ({ outcome: null })),
      ),
    ).toMatch(/"deny" was never answered/);
    expect(told(good.twice(answered("blue")))).toMatch(/was settled 2 times/);
  });

  test("[ASK11] [ASK17] one that nobody gave", () => {
    expect(told(story.log, story.given.slice(1))).toMatch(/nobody answered blue/);
    expect(told(story.log, story.given.toSpliced(2, 1))).toMatch(/nobody gave the result warm/);
  });

  test("[ASK9] a call that ran without its answer, or against it", () => {
    expect(told(good.changed(answered("allow"), { response: "deny" }))).toMatch(
      /write toolu_demo_1 succeeded, with the/,
    );
    expect(told(good.without(answered("allow")))).toMatch(/succeeded, with the answer null/);
    const asked = good.placeOfType("AUTH_REQUIRED");
    expect(told(good.without(asked))).toMatch(/write is to ask for approval, and asks for nothing/);
    expect(checkAnswers({ waits: null, given: [] }, story.log, [], LIMITS).join("\n")).toMatch(
      /write is to ask for nothing, and asks for approval/,
    );
  });

  test("[ASK13] a deadline that settles too early, too late, or as another default", () => {
    const asked = good.placeOf(({ type, seq }) => type === "AUTH_REQUIRED" && seq > byDeadline() - 4);
    expect(told(good.changed(asked, { expires_at: "2999-01-01T00:00:00.000Z" }))).toMatch(/before the deadline/);
    expect(told(later(byDeadline(), 60_000))).toMatch(/was not settled within 35000 ms/);
    expect(told(good.changed(byDeadline(), { response: "allow" }))).toMatch(/is not the default deny/);
  });

  test("[ASK8] [ASK10] a turn that goes on late after its answer", () => {
    expect(told(later(answered("allow") + 1, 2_500))).toMatch(/went on \d+ ms after event \d+ STATUS/);
    expect(told(later(answered("allow") + 1, 1_500))).toBe("");
  });
});

describe("of a log is told", () => {
  const waiting = () => good.placeOfStatus("waiting");

  test("[ASK7] [ASK8] what is asked apart from its calls, and a wait for other things than are asked", () => {
    const asked = good.placeOfType("AUTH_REQUIRED");
    expect(checkLog(good.moved(asked, waiting())).join("\n")).toMatch(/does not come with its calls/);
    expect(checkLog(good.changed(waiting(), { input_ids: [] })).join("\n")).toMatch(/names \[.*\], and waits for \[/);
    expect(checkLog(good.moved(answered("deny"), 4)).join("\n")).toMatch(/which nothing asks for/);
  });

  test("[ASK10] a turn that is resumed while it waits", () => {
    const resumed = { ...good.at(waiting()), data: { status: "resumed" as const, discard: [] } };
    const log = story.log.toSpliced(waiting() + 1, 0, resumed as Event).map((event, i) => ({
      ...event,
      seq: i + 1,
      cursor: `${i + 1}`,
    }));
    expect(checkLog(log).join("\n")).toMatch(/comes while the turn waits/);
  });

  test("[ASK10] nothing where a process finds a turn waiting that nobody has answered", () => {
    const at = timeOf(good.at(waiting())) + 1;
    const life = (startedAt: number): Life => ({
      startedAt,
      readyAt: startedAt,
      killedAt: null,
      connectedAt: [startedAt],
    });
    const limits = { alone: 35_000, withClient: 2_000 };
    const asked = story.log.slice(0, waiting() + 1);
    expect(checkGoingOn(asked, [life(at)], limits, at + 90_000)).toEqual([]);
    const free = story.log.slice(0, answered("allow") + 1);
    const end = timeOf(free.at(-1) ?? good.at(0)) + 1;
    expect(checkGoingOn(free, [life(end)], limits, end + 90_000)).toHaveLength(2);
  });
});
