import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkAccepted, type Sent } from "../chaos/check-accepted.ts";
import { checkWorkspace } from "../chaos/check-workspace.ts";
import { checkGoingOn, type Life, timeToGoOn } from "../chaos/time-to-go-on.ts";
import { AlteredLog } from "../support/altered-log.ts";
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

const workspaceFaults = (log = story.log, files = story.files) => checkWorkspace(log, files, { puts: [story.put] });
const putAt = <T extends object>(list: readonly T[], at: number, change: (one: T) => Partial<T>): T[] =>
  list.map((one, i) => (i === at ? { ...one, ...change(one) } : one));

describe("of messages is told", () => {
  const told = (change: (sent: Sent[]) => Sent[], log = story.log) => checkAccepted(change(story.sent), log).join("\n");
  const answered = (sent: readonly Sent[], at: number, turn: Partial<NonNullable<Sent["answer"]>["turn"]>) =>
    putAt(sent, at, ({ answer }) => ({ answer: answer && { ...answer, turn: { ...answer.turn, ...turn } } }));
  const steered = () => story.sent.findIndex(({ answer }) => answer?.turn.steered === true);

  test("[REST8] [TURN1] one that was acknowledged and is not there, or not as it was sent", () => {
    const [first] = story.sent;
    const withoutFirst = story.log.filter(({ turn_id }) => turn_id !== first?.answer?.turn.turn_id);
    expect(told((sent) => sent, withoutFirst)).toMatch(/was acknowledged .* and is not in the log/);
    expect(told((sent) => putAt(sent, 0, ({ body }) => ({ body: { ...body, user_input: "x" } })))).toMatch(/the text/);
    expect(told((sent) => putAt(sent, 0, ({ body }) => ({ body: { ...body, metadata: {} } })))).toMatch(/the metadata/);
    expect(told((sent) => answered(sent, 0, { status: "queued" }))).toMatch(/whether it waited/);
    expect(told((sent) => answered(sent, 1, { cursor: "9" }))).toMatch(/answer's cursor/);
  });

  test("[IDEM1] a turn that no message asked for, and one answer for two", () => {
    expect(told((sent) => sent.slice(1))).toMatch(/comes from no message/);
    expect(told((sent) => [...sent, ...sent.slice(0, 1)])).toMatch(/answers two messages/);
    const unanswered = (sent: Sent[]) => putAt(sent, 0, () => ({ answer: null }));
    expect(told(unanswered)).toBe("");
    expect(told((sent) => [...unanswered(sent), ...unanswered(sent).slice(0, 1)])).toBe("");
  });

  test("[TURN4] [EVENT6] one that comes before those that were acknowledged, or at another place", () => {
    const late = (sent: Sent[]) =>
      putAt(
        putAt(sent, 1, () => ({ sentAt: 90 })),
        2,
        ({ answer }) => ({ answer: answer && { ...answer, at: 80 } }),
      );
    expect(told(late)).toMatch(/was sent after .* and comes before it/);
    const interrupts = story.sent.findIndex(({ body }) => body.on_busy === "interrupt");
    expect(told((sent) => putAt(sent, interrupts, ({ body }) => ({ body: { ...body, on_busy: "enqueue" } })))).toBe("");
    expect(told((sent) => sent, good.changed(good.placeOfStatus("queued", 4), { position: 1 }))).toMatch(/its place/);
  });

  test("[TURN5] one that neither joined the turn nor became one", () => {
    const at = steered();
    const forgotten = story.log.toSpliced(good.placeOfStatus("steered"), 1);
    expect(told((sent) => sent, forgotten)).toMatch(/was to join it/);
    expect(told((sent) => sent.toSpliced(at, 1))).toMatch(/comes from no message/);
  });
});

describe("of the workspace is told", () => {
  const path = "work_products/a.txt";
  const told = (files: Iterable<[string, string]>) =>
    workspaceFaults(
      story.log,
      new Map([...story.files, ...[...files].map(([name, text]) => [name, Buffer.from(text)] as const)]),
    ).join("\n");

  test("[TOOL5] [TOOL7] a file that is not what its calls made of it, once each", () => {
    expect(told([])).toBe("");
    expect(told([[path, "one three!!"]])).toMatch(
      /^work_products\/a.txt: byte 10: expected "one three!" \(10 bytes\), found "one three!!"/,
    );
    expect(told([["b.txt", "gone"]])).toBe("b.txt: expected no file, found one of 4 bytes");
    expect(told([["client.txt", "other"]])).toMatch(/^client.txt: byte 0/);
    const missing = new Map([...story.files].filter(([name]) => name !== path));
    expect(workspaceFaults(story.log, missing)).toEqual([`${path}: expected a file of 10 bytes, found none`]);
  });

  test("[TOOL15] [EVENT15] a product that is missing, too many, or told with other bytes", () => {
    const at = good.placeOfType("WORK_PRODUCT");
    expect(workspaceFaults(good.without(at)).join()).toMatch(
      /expected the products \[work_products\/a.txt\], found \[\]/,
    );
    expect(workspaceFaults(good.twice(at)).join()).toMatch(/found \[work_products\/a.txt,work_products\/a.txt\]/);
    for (const data of [{ size: 5 }, { sha256: "0" }, { url: "/x" }]) {
      expect(workspaceFaults(good.changed(at, data))).toHaveLength(1);
    }
  });

  test("[TOOL8] [TOOL9] [FILE8] a call that succeeded where it could not", () => {
    const results = (name: string) => good.placeOf((event) => event.type === "TOOL_CALL" && event.data.name === name);
    expect(
      workspaceFaults(good.changed(results("edit"), { input: { path, old_string: "z", new_string: "three" } })).join(),
    ).toMatch(/the text was not there/);
    expect(workspaceFaults(good.changed(results("delete"), { input: { path: "c.txt" } })).join()).toMatch(
      /there was no file/,
    );
    expect(workspaceFaults(good.without(good.placeOfStatus("file_changed"))).join()).toMatch(
      /client.txt: expected no file/,
    );
  });
});

describe("how long a session takes to go on", () => {
  /** The process that took over when the first had been killed in mid-text, `lateMs` before or after it went on. */
  const lives = (change: Partial<Life>): Life[] => {
    const resumedAt = Date.parse(good.at(good.placeOfStatus("resumed")).timestamp);
    const first = { startedAt: 0, readyAt: 0, killedAt: resumedAt - 10, connectedAt: [] };
    return [first, { startedAt: resumedAt - 5, readyAt: resumedAt, killedAt: null, connectedAt: [], ...change }];
  };
  const resumedAt = () => Date.parse(good.at(good.placeOfStatus("resumed")).timestamp);
  const limits = { alone: 35_000, withClient: 2_000 };
  /** A story goes on at once; here it did so that much later. */
  const later = (ms: number) => {
    const at = good.placeOfStatus("resumed");
    const moved = (timestamp: string) => new Date(Date.parse(timestamp) + ms).toISOString();
    return story.log.map((event, i) => (i < at ? event : { ...event, timestamp: moved(event.timestamp) }));
  };

  test("[TURN20] is from the start, or from the first client, to STATUS resumed", () => {
    const connectedAt = [resumedAt() + 900, resumedAt() + 600, 5];
    const [going, ...more] = timeToGoOn(later(1_000), lives({ connectedAt }), resumedAt() + 5_000);
    expect(more).toEqual([]);
    expect(going).toMatchObject({
      life: 1,
      afterReadyMs: 1_000,
      afterClientMs: 400,
      livedMs: 5_000,
      livedWithClientMs: 4_400,
    });
    expect(going?.event?.data).toMatchObject({ status: "resumed" });
    expect(timeToGoOn(story.log, lives({}).slice(0, 1))).toEqual([]);
  });

  test("[TURN20] is told where it is too long, whether or not it went on in the end", () => {
    const now = () => resumedAt() + 40_000;
    const check = (ms: number, change: Partial<Life>, log = later(ms)) =>
      checkGoingOn(log, lives(change), limits, now());
    const client = { connectedAt: [resumedAt()] };
    expect(check(34_000, {})).toEqual([]);
    expect(check(36_000, {})).toEqual([expect.stringMatching(/^life 1: event \d+ within 36000 ms of the start/)]);
    expect(check(1_900, client)).toEqual([]);
    expect(check(2_100, client)).toEqual([expect.stringMatching(/with a client, at most 2000$/)]);
    const never = story.log.slice(0, good.placeOfStatus("resumed"));
    expect(check(0, {}, never)).toEqual(["life 1: nothing within 40000 ms of the start, at most 35000"]);
    expect(check(0, { killedAt: resumedAt() + 30_000 }, never)).toEqual([]);
  });

  test("[TURN4] is to the start of the turn that waited, where none ran", () => {
    const ended = story.log.slice(0, good.placeOfType("ITERATION_END", 20) + 1);
    const begins = {
      ...good.at(ended.length),
      timestamp: new Date(Date.parse(good.at(ended.length - 1).timestamp) + 70).toISOString(),
    };
    const startedAt = Date.parse(begins.timestamp) - 50;
    const life = { startedAt, readyAt: startedAt, killedAt: null, connectedAt: [] };
    expect(timeToGoOn([...ended, begins], [life], startedAt + 100)).toMatchObject([
      { afterReadyMs: 50, event: { type: "SESSION_INFO" } },
    ]);
  });
});
