import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { bytesOf } from "../../src/protocol/bytes-of.ts";
import { type Event, event as eventSchema, type NewEvent } from "../../src/protocol/events.ts";
import type { EventPage } from "../../src/protocol/rest.ts";
import { EventLog } from "../../src/session/event-log.ts";
import type { LiveBlock } from "../../src/session/live-block.ts";
import { createTables } from "../../src/session/schema.ts";
import { pageOf } from "../support/event-page.ts";
import { type Entry, LogFollower } from "../support/log-follower.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const TURN = "turn_01JZZZZZZZZZZZZZZZZZZZZZZZ";
const resumed = (discard: number[]): NewEvent => ({ type: "STATUS", data: { status: "resumed", discard } });
const changed = (path: string): NewEvent => ({ type: "STATUS", data: { status: "file_changed", path, sha256: null } });

/** A log with its clients, and beside it what it must hold. */
class Scene {
  readonly #sql = createNodeSql(new DatabaseSync(":memory:"));
  #life = 0;
  #block: LiveBlock | null = null;
  log: EventLog;
  /** By seq, from 1. */
  readonly expected: Entry[] = [];
  #uncommitted: number[] = [];
  readonly followers = [new LogFollower("0", 0), new LogFollower("0", 0)];

  constructor() {
    createTables(this.#sql);
    this.log = this.#open();
  }

  #open(): EventLog {
    const life = ++this.#life;
    const broadcast = (event: Event) => {
      if (life !== this.#life) return;
      // What one client does to an event must not reach another.
      for (const { onTheWay } of this.followers) onTheWay.push(eventSchema.parse(structuredClone(event)));
    };
    return new EventLog(this.#sql, broadcast, () => Date.now());
  }

  write(type: "TEXT" | "THINKING", piece: string): void {
    if (this.#block === null || this.#block.type !== type) {
      this.end();
      this.#block = this.log.openBlock(type, TURN, false);
      this.#expectBlock(this.#block.seq, { text: "", done: false, discarded: false });
      this.#uncommitted.push(this.#block.seq);
    }
    this.#block.append(piece);
    const { seq, text } = this.#block;
    this.#expectBlock(seq, { text, done: false, discarded: false });
  }

  redact(): void {
    this.end();
    const block = this.log.openBlock("THINKING", TURN, true);
    block.end();
    this.#expectBlock(block.seq, { text: "", done: true, discarded: false });
    this.#uncommitted.push(block.seq);
  }

  end(): void {
    if (this.#block === null) return;
    this.#block.end();
    this.#expectBlock(this.#block.seq, { text: this.#block.text, done: true, discarded: false });
    this.#block = null;
  }

  append(paths: string[]): void {
    this.log.commit((writer) => {
      for (const path of paths) this.#expectEvent(writer.append(changed(path), null), changed(path));
    });
  }

  commitStep(): void {
    const block = this.#block;
    this.#block = null;
    this.log.commit((writer) => {
      writer.commitBlocks();
      this.#expectEvent(writer.append(changed("step"), TURN), changed("step"));
    });
    if (block !== null) this.#expectBlock(block.seq, { text: block.text, done: true, discarded: false });
    this.#uncommitted = [];
  }

  discardStep(): void {
    this.log.commit((writer) => {
      const discard = writer.discardBlocks(1);
      expect(discard).toEqual(this.#uncommitted);
      this.#expectEvent(writer.append(resumed(discard), TURN), resumed(discard));
    });
    this.#forgetStep();
  }

  /** A transaction that fails after it wrote, and with it everything that it wrote. */
  fail(): void {
    const before = this.log.lastSeq;
    const failing = () =>
      this.log.commit((writer) => {
        writer.append(changed("a"), null);
        writer.discardBlocks(1);
        writer.append(changed("b"), null);
        throw new Error("failed");
      });
    expect(failing).toThrow("failed");
    expect(this.log.lastSeq).toBe(before);
  }

  /** The process dies and starts again; all connections with it. */
  crash(): void {
    vi.clearAllTimers();
    this.log = this.#open();
    this.log.commit((writer) => {
      const discard = writer.discardBlocks(1);
      expect(discard).toEqual(this.#uncommitted);
      this.#expectEvent(writer.append(resumed(discard), TURN), resumed(discard));
    });
    this.#forgetStep();
    for (const follower of this.followers) this.reconnect(follower);
  }

  reconnect(follower: LogFollower): void {
    // Asking may send others what waited; it is part of the answer here.
    const missed = [...this.log.replay(follower.position)];
    // What a frame weighs is known from its row, and is not measured again.
    for (const { json, bytes } of missed) expect(bytes).toBe(bytesOf(json));
    follower.onTheWay = missed.map(({ json }) => eventSchema.parse(JSON.parse(json)));
  }

  /** Reads pages of a size to the end, and then follows live from there. */
  readPages(follower: LogFollower, limit: number): void {
    const replayed = [...this.log.replay(follower.position)].map(({ json }) => JSON.parse(json));
    const whole = pageOf(this.log, follower.position, 1_000_000);
    expect(whole.events).toEqual(replayed);
    follower.onTheWay = [];
    let after: string | null = follower.position;
    for (let pages = 0; after !== null; pages++) {
      const page: EventPage = pageOf(this.log, after, limit);
      expect(pages, "pages without end").toBeLessThanOrEqual(this.expected.length + 1);
      for (const event of page.events) follower.take(event);
      after = page.next_cursor;
      follower.position = page.cursor;
    }
    expect(follower.position).toBe(whole.cursor);
  }

  #forgetStep(): void {
    this.#block = null;
    for (const seq of this.#uncommitted) this.#expectBlock(seq, { text: "", done: true, discarded: true });
    this.#uncommitted = [];
  }

  #expectBlock(seq: number, block: { text: string; done: boolean; discarded: boolean }): void {
    this.expected[seq - 1] = { kind: "block", ...block };
  }

  #expectEvent(seq: number, { data }: NewEvent): void {
    expect(seq).toBe(this.expected.length + 1);
    this.expected.push({ kind: "event", data });
  }
}

const piece = fc.string({
  unit: fc.constantFrom("a", "b", "\u{1f642}", "\ud83d", "\ude42"),
  minLength: 1,
  maxLength: 4,
});
const paths = fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 2 });
const follower = fc.nat(1);
const action = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("write" as const), fc.constantFrom("TEXT", "THINKING"), piece) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("receive" as const), follower, fc.nat(6)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("append" as const), paths) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("wait" as const), fc.nat(6)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("cut" as const), follower, fc.nat(3)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("pages" as const), follower, fc.integer({ min: 1, max: 4 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("end" as const, "commit" as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("discard" as const, "fail" as const, "redact" as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("crash" as const)) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function perform(scene: Scene, step: Action): void {
  const of = (index: number) => scene.followers[index] ?? new LogFollower("0", 0);
  switch (step[0]) {
    case "write":
      scene.write(step[1], step[2]);
      break;
    case "receive":
      of(step[1]).receive(step[2]);
      break;
    case "append":
      scene.append(step[1]);
      break;
    case "wait":
      vi.advanceTimersByTime(step[1]);
      break;
    case "cut":
      of(step[1]).receive(step[2]);
      scene.reconnect(of(step[1]));
      break;
    case "pages":
      scene.readPages(of(step[1]), step[2]);
      break;
    case "end":
      scene.end();
      break;
    case "commit":
      scene.commitStep();
      break;
    case "discard":
      scene.discardStep();
      break;
    case "fail":
      scene.fail();
      break;
    case "redact":
      scene.redact();
      break;
    case "crash":
      scene.crash();
      break;
  }
}

test("[LOG4] [LOG5] [BLOCK8] [CURSOR3] whatever happens and wherever a client is cut off, it gets all of the log once", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (steps) => {
      const scene = new Scene();
      for (const step of steps) perform(scene, step);
      scene.commitStep();
      for (const reader of scene.followers) {
        reader.receive(Number.POSITIVE_INFINITY);
        const seen = [...reader.entries].sort(([a], [b]) => a - b);
        expect(seen.map(([, entry]) => entry)).toEqual(scene.expected);
        expect(seen.map(([seq]) => seq)).toEqual(scene.expected.map((_, i) => i + 1));
        expect(reader.position).toBe(scene.log.cursor());
      }
      const fresh = new LogFollower("0", 0);
      scene.readPages(fresh, 7);
      expect([...fresh.entries.values()]).toEqual(scene.expected);
    }),
    {
      numRuns: 1_500,
      examples: [
        // Each of these once lost an event, or never came to an end.
        [
          [
            ["write", "TEXT", "a"],
            ["write", "TEXT", "b"],
            ["append", ["a"]],
            ["cut", 0, 2],
          ],
        ],
        [
          [
            ["write", "TEXT", "a"],
            ["append", ["a"]],
            ["pages", 0, 4],
            ["pages", 0, 1],
          ],
        ],
        [[["write", "TEXT", "\ud83d"], ["discard"]]],
      ],
    },
  );
});
