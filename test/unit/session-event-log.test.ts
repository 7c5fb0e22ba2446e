import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createNodeSql } from "../../src/local/node-sql.ts";
import type { Event, EventType, NewEvent } from "../../src/protocol/events.ts";
import type { EventPage } from "../../src/protocol/rest.ts";
import { EventLog, type Replayed } from "../../src/session/event-log.ts";
import { createTables } from "../../src/session/schema.ts";
import { pageOf } from "../support/event-page.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

const TURN = "turn_01JZZZZZZZZZZZZZZZZZZZZZZZ";
const changed = (path = "a"): NewEvent => ({ type: "STATUS", data: { status: "file_changed", path, sha256: null } });

function createLog() {
  const sql = createNodeSql(new DatabaseSync(":memory:"));
  createTables(sql);
  const sent: Event[] = [];
  const log = new EventLog(
    sql,
    (event) => sent.push(event),
    () => Date.now(),
  );
  const append = (...events: NewEvent[]) => log.commit((writer) => events.map((event) => writer.append(event, null)));
  return { sql, log, sent, append };
}

const summary = (events: Iterable<Replayed>) => Array.from(events, ({ type, cursor }) => [type, cursor]);
const openText = (log: EventLog) => log.openBlock("TEXT", TURN, false);

describe("events", () => {
  test("[EVENT1] [EVENT2] [LOG3] an event is the same live, in replay and on a page", () => {
    const { log, sent, append } = createLog();
    append(changed());
    const event = {
      seq: 1,
      cursor: "1",
      type: "STATUS",
      turn_id: null,
      timestamp: "2026-10-01T12:00:00.000Z",
      data: { status: "file_changed", path: "a", sha256: null },
    };
    expect(sent).toEqual([event]);
    expect([...log.replay("0")].map(({ json }) => JSON.parse(json))).toEqual([event]);
    expect(pageOf(log, "0", 10)).toEqual({ events: [event], next_cursor: null, cursor: "1" });
  });

  test("[LOG2] nothing is sent before it is committed, nor what was not", () => {
    const { log, sent, append } = createLog();
    const failing = () =>
      log.commit((writer) => {
        writer.append(changed(), null);
        expect(sent).toEqual([]);
        throw new Error("failed");
      });
    expect(failing).toThrow("failed");
    expect(sent).toEqual([]);
    expect([log.lastSeq, log.lastAt, [...log.replay("0")]]).toEqual([0, null, []]);
    append(changed());
    expect(sent.map(({ seq }) => seq)).toEqual([1]);
  });

  test("[LOG2] a transaction that fails leaves the blocks of the step as they were", () => {
    const { log, append } = createLog();
    const block = openText(log);
    block.append("abc");
    const failing = () =>
      log.commit((writer) => {
        writer.discardBlocks(1);
        throw new Error("failed");
      });
    expect(failing).toThrow("failed");
    block.append("def");
    block.end();
    log.commit((writer) => writer.commitBlocks());
    append(changed());
    expect(pageOf(log, "0", 10).events[0]?.data).toEqual({ text: "abcdef", offset: 0, done: true });
  });

  test("[WS5] an answer goes between the commit and its events", () => {
    const { log, sent } = createLog();
    const order: unknown[] = [];
    const result = log.commit(
      (writer) => writer.append(changed(), null),
      (seq) => order.push(seq, sent.length),
    );
    expect([result, order, sent.length]).toEqual([1, [1, 0], 1]);
  });
});

describe("positions", () => {
  test("[CURSOR2] [CURSOR3] characters that wait when an event comes go out before it, with a position before it", () => {
    const { log, sent, append } = createLog();
    const block = openText(log);
    block.append("a");
    block.append("b");
    append(changed(), changed());
    expect(sent.map(({ seq, cursor }) => [seq, cursor])).toEqual([
      [1, "1~1.1"],
      [1, "1~1.2"],
      [2, "2~1.2"],
      [3, "3~1.2"],
    ]);
    for (const [i, { cursor }] of sent.entries()) {
      const rest = [...log.replay(cursor)].filter(({ type }) => type === "STATUS");
      expect(rest.map(({ json }) => JSON.parse(json).seq)).toEqual([[2, 3], [2, 3], [3], []][i]);
    }
  });

  test("[CURSOR4] a cursor of a block that has ended gets its end, with no characters if none are left", () => {
    const { log } = createLog();
    const block = openText(log);
    block.append("abc");
    const cursor = log.cursor();
    expect(cursor).toBe("1~1.3");
    expect([...log.replay(cursor)]).toEqual([]);
    block.end();
    const live = [...log.replay(cursor)].map(({ json }) => JSON.parse(json));
    expect(live).toMatchObject([{ seq: 1, cursor: "1", data: { text: "", offset: 3, done: true } }]);
    log.commit((writer) => writer.commitBlocks());
    expect([...log.replay(cursor)].map(({ json }) => JSON.parse(json))).toEqual(live);
    expect([...log.replay("1~1.1")].map(({ json }) => JSON.parse(json).data.text)).toEqual(["bc"]);
    expect([...log.replay("1")]).toEqual([]);
  });

  test("[CURSOR7] a discarded block replays in its discarded form, whatever the offset", () => {
    const { log } = createLog();
    openText(log).append("abc");
    const thinking = log.openBlock("THINKING", TURN, false);
    thinking.append("abc");
    log.commit((writer) => writer.discardBlocks(1));
    for (const cursor of ["1~1.0", "1~1.2", "2~1.99"]) {
      const [first] = [...log.replay(cursor)].map(({ json }) => JSON.parse(json).data);
      expect(first).toEqual({ text: "", offset: 0, done: true, discarded: true });
    }
    const [second] = [...log.replay("2~2.3")].map(({ json }) => JSON.parse(json).data);
    expect(second).toEqual({ thinking: "", offset: 0, done: true, discarded: true });
  });

  test("[CURSOR6] what is no position in this log is refused before the first event", () => {
    const { log, append } = createLog();
    append(changed());
    openText(log).append("abc");
    for (const cursor of ["", "x", "-1", "01", "1.5", "3", "2~1.0", "2~3.0", "3~2.0", "2~2", "2~2.x", " 2", "2~0.0"]) {
      for (const ask of [() => log.replay(cursor), () => pageOf(log, cursor, 1), () => log.checkCursor(cursor)]) {
        expect(ask, cursor).toThrow(expect.objectContaining({ code: "bad_cursor" }));
      }
    }
    for (const cursor of ["0", "1", "2", "2~2.0", "2~2.3", "2~2.999"])
      expect(() => log.checkCursor(cursor)).not.toThrow();
  });

  test("[CURSOR9] a position that was handed out before a crash is good after it", () => {
    const { sql, log, append } = createLog();
    append(changed());
    const block = openText(log);
    block.append("abc");
    append(changed());
    const cursors = ["1", log.cursor()];
    block.append("def");
    const revived = new EventLog(
      sql,
      () => {},
      () => Date.now(),
    );
    revived.commit((writer) => writer.discardBlocks(1));
    expect(cursors.map((cursor) => summary(revived.replay(cursor)))).toEqual([
      [
        ["TEXT", "2"],
        ["STATUS", "3"],
      ],
      [["TEXT", "3"]],
    ]);
  });
});

describe("pages", () => {
  test("[BLOCK6] an open block is shown with its text so far, and the page goes on from there", () => {
    const { log, append } = createLog();
    const block = openText(log);
    block.append("abc");
    append(changed());
    const page = pageOf(log, "0", 1);
    expect(page.events[0]?.data).toEqual({ text: "abc", offset: 0, done: false });
    expect([page.next_cursor, page.cursor]).toEqual(["1~1.3", "1~1.3"]);
    expect(pageOf(log, "1~1.3", 1)).toMatchObject({ events: [{ seq: 2 }], next_cursor: null, cursor: "2~1.3" });
    block.append("def");
    expect(pageOf(log, "2~1.3", 1).events[0]).toMatchObject({ seq: 1, data: { text: "def", offset: 3 } });
  });

  test("[REST16] types pick events, and the position passes what they left out", () => {
    const { log, append } = createLog();
    append(changed(), changed());
    const block = openText(log);
    block.append("abc");
    block.end();
    log.commit((writer) => writer.commitBlocks());
    append(changed());
    const only = (type: EventType) => new Set([type]);
    expect(pageOf(log, "0", 10, only("TEXT"))).toMatchObject({ events: [{ seq: 3 }], next_cursor: null, cursor: "4" });
    expect(pageOf(log, "0", 2, only("STATUS"))).toMatchObject({ next_cursor: "2", cursor: "2" });
    expect(pageOf(log, "2", 2, only("STATUS"))).toMatchObject({ events: [{ seq: 4 }], next_cursor: null });
    expect(pageOf(log, "3", 2, only("TEXT"))).toEqual({ events: [], next_cursor: null, cursor: "4" });
    expect(summary(log.replay("3~3.1", only("STATUS")))).toEqual([["STATUS", "4"]]);
  });

  test("[LOG1] [LOG3] a long log is read in pages, whole and in order", () => {
    const { log } = createLog();
    log.commit((writer) => {
      for (let i = 1; i <= 1_203; i++) writer.append(changed(`${i}`), null);
    });
    const seqs = [...log.replay("0")].map(({ json }) => JSON.parse(json).seq);
    expect(seqs).toEqual(Array.from({ length: 1_203 }, (_, i) => i + 1));
    for (const limit of [500, 501, 1_203]) {
      const paged: number[] = [];
      for (let after: string | null = "0"; after !== null; ) {
        const page: EventPage = pageOf(log, after, limit);
        paged.push(...page.events.map(({ seq }) => seq));
        after = page.next_cursor;
      }
      expect(paged).toEqual(seqs);
    }
  });
});

test("[TURN15] [TURN16] a turn's text and work products are its own, without what was discarded", () => {
  const { log } = createLog();
  const say = (turnId: string, text: string, settle: "commitBlocks" | "discardBlocks") => {
    const block = log.openBlock("TEXT", turnId, false);
    block.append(text);
    block.end();
    log.commit((writer) => (settle === "commitBlocks" ? writer.commitBlocks() : writer.discardBlocks(1)));
  };
  const make = (turnId: string, path: string) => {
    const data = { path, workspace_path: path, size: 1, content_type: "", sha256: "", url: "" };
    log.commit((writer) => writer.append({ type: "WORK_PRODUCT", data }, turnId));
  };
  const other = TURN.replace("Z", "Y");
  say(TURN, "one ", "commitBlocks");
  say(TURN, "lost ", "discardBlocks");
  say(other, "theirs ", "commitBlocks");
  for (const path of ["work_products/b", "work_products/a", "work_products/b"]) make(TURN, path);
  make(other, "work_products/c");
  openText(log).append("two");
  const texts = (to: number | null) => [...log.dataOf(TURN, "TEXT", 1, to)].map(({ text }) => text);
  expect(texts(null)).toEqual(["one ", "", "two"]);
  expect(texts(3)).toEqual(["one ", ""]);
  const paths = [...log.dataOf(TURN, "WORK_PRODUCT", 1, null)].map(({ path }) => path);
  expect(paths).toEqual(["work_products/b", "work_products/a", "work_products/b"]);
});
