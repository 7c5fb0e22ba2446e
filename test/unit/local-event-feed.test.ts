import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventFeed } from "../../src/local/event-feed.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { EventLog } from "../../src/session/event-log.ts";
import type { LiveBlock } from "../../src/session/live-block.ts";
import { createTables } from "../../src/session/schema.ts";
import { entriesOf } from "../support/entries-of.ts";
import { LogFollower } from "../support/log-follower.ts";

const TURN = "turn_00000000000000000000000000";

/** A log whose readers may have very little of it in memory. */
class World {
  readonly feed = new EventFeed({ stretch: 3, stretchChars: 400, unread: 2 });
  readonly #sql = createNodeSql(new DatabaseSync(":memory:"));
  readonly log: EventLog;
  readonly #leave = new AbortController();
  #open: LiveBlock | null = null;

  constructor() {
    createTables(this.#sql);
    this.log = new EventLog(this.#sql, (event) => this.feed.push(event), Date.now);
  }

  append(): void {
    const data = { status: "file_changed" as const, path: "x", sha256: null };
    this.log.commit((writer) => writer.append({ type: "STATUS", data }, null));
  }

  write(text: string): void {
    this.#open ??= this.log.openBlock("TEXT", TURN, false);
    this.#open.append(text);
  }

  endBlock(): void {
    this.#open?.end();
    this.#open = null;
  }

  commit(): void {
    this.endBlock();
    this.log.commit((writer) => writer.commitBlocks());
  }

  discard(): void {
    this.endBlock();
    this.log.commit((writer) => {
      const discard = writer.discardBlocks(1);
      writer.append({ type: "STATUS", data: { status: "resumed", discard } }, TURN);
    });
  }

  follow(after: string): AsyncGenerator<Event> {
    return this.feed.follow(this.log, after, this.#leave.signal);
  }

  /** What a reader that begins now, at the start, is given. */
  whole(): ReturnType<typeof entriesOf> {
    const events: Event[] = [];
    for (const { json } of this.log.replay("0")) events.push(JSON.parse(json));
    return entriesOf(events);
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant("append" as const) },
  { weight: 6, arbitrary: fc.string({ minLength: 1, maxLength: 200 }).map((text) => ({ text })) },
  { weight: 1, arbitrary: fc.constantFrom("endBlock" as const, "commit" as const, "discard" as const) },
  { weight: 4, arbitrary: fc.nat(6).map((read) => ({ read })) },
);

describe("the feed of a session's readers", () => {
  test("[LOCAL9] a reader of any pace gets every event and every character once, in order", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = new World();
        const follower = new LogFollower("0", 0);
        const reader = world.follow("0");
        /** Reads what is there, and no further: a read that would wait is left for later. */
        let pending: Promise<IteratorResult<Event>> | null = null;
        const read = async (count: number) => {
          for (let i = 0; i < count && follower.position !== world.log.cursor(); i++) {
            pending ??= reader.next();
            const { value } = await pending;
            pending = null;
            if (value !== undefined) follower.take(value);
          }
        };
        for (const one of steps) {
          if (typeof one === "string") world[one]();
          else if ("text" in one) world.write(one.text.toWellFormed());
          else await read(one.read);
        }
        world.commit();
        world.append();
        await read(Number.POSITIVE_INFINITY);
        expect(follower.entries).toEqual(world.whole());
      }),
      { numRuns: 200 },
    ));

  test("[LOCAL9] whoever is sent the log at once gets the past and then the present, until nobody listens", () => {
    const world = new World();
    for (let i = 0; i < 10; i++) world.append();
    const sent: string[] = [];
    const stop = world.feed.send(world.log, "2", (json) => sent.push(json) > 0);
    expect(sent).toHaveLength(8);
    let taken = 0;
    world.feed.send(world.log, "0", () => ++taken < 12);
    for (let i = 0; i < 5; i++) world.append();
    expect(sent.map((json) => JSON.parse(json).seq)).toEqual(Array.from({ length: 13 }, (_, i) => i + 3));
    expect(taken).toBe(12);
    stop();
    world.append();
    expect(sent).toHaveLength(13);
    expect(() => world.feed.send(world.log, "999", () => true)).toThrow(GatewayError);
  });

  test("[LOCAL9] a reader has everything before it is told why nothing more comes", async () => {
    const world = new World();
    const reader = world.follow("0");
    const first = reader.next();
    world.append();
    world.append();
    world.feed.end(new GatewayError("not_found", "gone"));
    expect((await first).value).toMatchObject({ seq: 1 });
    expect((await reader.next()).value).toMatchObject({ seq: 2 });
    await expect(reader.next()).rejects.toMatchObject({ code: "not_found" });
    await expect(world.follow("0").next()).rejects.toMatchObject({ code: "not_found" });
  });
});
