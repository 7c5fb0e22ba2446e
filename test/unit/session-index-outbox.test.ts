import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createNodeSql } from "../../src/local/node-sql.ts";
import type { Session } from "../../src/protocol/rest.ts";
import { IndexOutbox, RUNNING_ROW_MS } from "../../src/session/index-outbox.ts";
import { createTables } from "../../src/session/schema.ts";
import { readMeta, type Settings } from "../../src/session/settings.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

const SETTINGS: Settings = {
  session_id: "session",
  user_id: "alice",
  title: null,
  model: "",
  fast_model: null,
  system: null,
  max_iterations: 1,
  metadata: {},
  space_id: null,
  created_at: 0,
  changed_at: 0,
  revision: 0,
};

const QUESTION = { input_id: "input", kind: "question" as const };

type Write = { row: Session; version: number; succeed(): void; fail(): void };

/** An outbox whose writes end when the test says so. */
function createScene() {
  const sql = createNodeSql(new DatabaseSync(":memory:"));
  createTables(sql);
  const scene = {
    now: 0,
    version: 0,
    revision: 0,
    status: "idle" as Session["status"],
    readable: true,
    pending: [] as Session["pending_inputs"],
    writes: [] as Write[],
    wakes: [] as number[],
  };
  const summary = (): Session => {
    if (!scene.readable) throw new Error("the disk fails");
    return {
      session_id: "session",
      user_id: "alice",
      title: null,
      status: scene.status,
      workspace_dir: "",
      model: "",
      metadata: {},
      created_at: "",
      updated_at: `at ${scene.version}`,
      last_seq: scene.version,
      active_turn: null,
      queued_turns: [],
      pending_inputs: scene.pending,
    };
  };
  const host = {
    now: () => scene.now,
    wakeAt: (time: number) => scene.wakes.push(time),
    broadcast: () => {},
    index: (row: Session, version: number) =>
      new Promise<void>((resolve, reject) => {
        scene.writes.push({ row, version, succeed: resolve, fail: () => reject(new Error("unreachable")) });
      }),
  };
  const settings = () => ({ ...SETTINGS, revision: scene.revision });
  const open = () => new IndexOutbox({ sql, host, summary, settings, lastSeq: () => scene.version });
  const change = (version = scene.version + 1, status: Session["status"] = "idle") =>
    Object.assign(scene, { version, status });
  const write = (i: number): Write => {
    const found = scene.writes[i];
    if (found === undefined) throw new Error(`there is no write ${i}`);
    return found;
  };
  return { sql, scene, open, change, write };
}

const versions = (writes: Write[]) => writes.map(({ version }) => version);
const settled = () => new Promise(setImmediate);

describe("the index row", () => {
  test("[SESSION12] is written from the start, and when nothing changed not again, in a later process neither", async () => {
    const { scene, open, write } = createScene();
    const outbox = open();
    const flushing = outbox.flush();
    expect(outbox.behind).toBe(true);
    write(0).succeed();
    await flushing;
    expect(outbox.behind).toBe(false);
    await outbox.flush();
    await open().flush();
    expect(versions(scene.writes)).toEqual([0]);
  });

  test("[SESSION12] is written once for all that changes while a write is under way, and never twice at a time", async () => {
    const { scene, open, change, write } = createScene();
    const outbox = open();
    const flushing = outbox.flush();
    for (const version of [1, 2, 3]) {
      change(version);
      expect(outbox.flush()).toBe(flushing);
    }
    expect(versions(scene.writes)).toEqual([0]);
    write(0).succeed();
    await settled();
    expect(scene.writes.map(({ row, version }) => [row.updated_at, version])).toEqual([
      ["at 0", 0],
      ["at 3", 3],
    ]);
    write(1).succeed();
    await flushing;
    expect(outbox.behind).toBe(false);
  });

  test("[SESSION12] is not written for each event of a turn that runs, but at its end, whenever that comes", async () => {
    // The end may come in any of the microtasks in which the write before it ends.
    for (let gap = 0; gap < 6; gap++) {
      const { scene, open, change, write } = createScene();
      const outbox = open();
      change(1, "running");
      void outbox.flush();
      change(2, "running");
      write(0).succeed();
      for (let i = 0; i < gap; i++) await Promise.resolve();
      change(3, "idle");
      void outbox.flush();
      await settled();
      expect(versions(scene.writes), `after ${gap}`).toEqual([1, 3]);
      write(1).succeed();
      await settled();
      expect(outbox.behind).toBe(false);
    }
  });

  test("[SESSION12] has what was changed by a request during a turn, also where a write was under way", async () => {
    const { scene, open, change, write } = createScene();
    const outbox = open();
    change(1, "running");
    void outbox.flush();
    change(2, "running");
    void outbox.flush();
    write(0).succeed();
    await settled();
    expect(versions(scene.writes)).toEqual([1, 2]);
    change(3, "running");
    write(1).succeed();
    await settled();
    expect(versions(scene.writes)).toEqual([1, 2]);
  });

  test("[SESSION21] [COST6] of a turn that runs on is left alone by heartbeats for five minutes, and nothing is stored of it here", async () => {
    const { sql, scene, open, change, write } = createScene();
    const outbox = open();
    const beats = async (version: number, status: Session["status"], now: number) => {
      change(version, status);
      scene.now = now;
      void outbox.refresh();
      scene.writes.at(-1)?.succeed();
      await settled();
    };
    await beats(1, "idle", 0);
    await beats(2, "running", 1);
    await beats(3, "running", 30_000);
    await beats(4, "running", RUNNING_ROW_MS);
    expect(versions(scene.writes)).toEqual([1, 2]);
    expect(readMeta(sql, "indexed")).toBe("1");
    await beats(5, "running", RUNNING_ROW_MS + 1);
    await beats(6, "waiting", RUNNING_ROW_MS + 2);
    await beats(7, "running", RUNNING_ROW_MS + 3);
    await beats(8, "idle", RUNNING_ROW_MS + 4);
    expect(versions(scene.writes)).toEqual([1, 2, 5, 6, 7, 8]);
    expect(readMeta(sql, "indexed")).toBe("8");
    // One that failed is tried by the heartbeat all the same, and by a new process.
    await beats(9, "running", RUNNING_ROW_MS + 5);
    change(10, "running");
    void outbox.flush();
    write(7).fail();
    await settled();
    await beats(11, "running", RUNNING_ROW_MS + 6);
    expect(versions(scene.writes)).toEqual([1, 2, 5, 6, 7, 8, 9, 10, 11]);
    void open().refresh();
    expect(versions(scene.writes).at(-1)).toBe(11);
    expect(scene.writes).toHaveLength(10);
  });
  test("[SESSION21] [ASK8] what a turn asks while it runs on, and what is settled meanwhile, reaches the list by the next heartbeat", async () => {
    const { scene, open, change, write } = createScene();
    const outbox = open();
    change(1, "running");
    void outbox.flush();
    write(0).succeed();
    await settled();
    scene.pending = [QUESTION];
    change(2, "running");
    void outbox.refresh();
    expect(scene.writes.map(({ row }) => row.pending_inputs)).toEqual([[], [QUESTION]]);
    write(1).succeed();
    await settled();
    change(3, "running");
    void outbox.refresh();
    expect(versions(scene.writes)).toEqual([1, 2]);
    scene.pending = [];
    void outbox.refresh();
    expect(scene.writes.map(({ row }) => row.pending_inputs)).toEqual([[], [QUESTION], []]);
  });
});

describe("a write that fails", () => {
  test("[SESSION12] is due again after a growing time, and the row then written is that of then", async () => {
    const { scene, open, change, write } = createScene();
    const outbox = open();
    for (let i = 0; i < 8; i++) {
      void outbox.flush();
      write(i).fail();
      await settled();
    }
    const delays = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    expect(scene.wakes).toEqual(delays);
    expect(outbox.retryAt).toBe(60_000);
    change(5);
    void outbox.flush();
    write(8).succeed();
    await settled();
    expect([scene.writes.at(-1)?.row.updated_at, outbox.retryAt, outbox.behind]).toEqual(["at 5", null, false]);
    // And it begins anew.
    change();
    void outbox.flush();
    write(9).fail();
    await settled();
    expect(scene.wakes.at(-1)).toBe(1_000);
  });

  test("[SESSION12] wakes nobody while the next one is under way", async () => {
    const { scene, open, write } = createScene();
    const outbox = open();
    void outbox.flush();
    write(0).fail();
    await settled();
    scene.now = 1_000;
    void outbox.flush();
    // The process may die before this write has ended, so something is due, but not at once.
    expect(outbox.retryAt).toBe(61_000);
  });

  test("[SESSION12] wakes nobody where it failed with the row stored: at a time that stays due the session would be woken for ever", async () => {
    const { scene, open, change, write } = createScene();
    const outbox = open();
    void outbox.flush();
    scene.readable = false;
    write(0).succeed();
    await settled();
    expect([outbox.behind, outbox.retryAt, scene.wakes]).toEqual([false, null, []]);
    scene.readable = true;
    change();
    void outbox.flush();
    write(1).succeed();
    await settled();
    expect([versions(scene.writes), outbox.behind]).toEqual([[0, 1], false]);
  });

  test("[SESSION12] is no failure of whoever changed the session, nor is one to store that it was written", async () => {
    const { sql, scene, open, change, write } = createScene();
    const outbox = open();
    const failed = outbox.flush();
    write(0).fail();
    await expect(failed).resolves.toBeUndefined();
    sql.exec("ALTER TABLE meta RENAME TO away");
    change();
    const flushing = outbox.flush();
    write(1).succeed();
    await expect(flushing).resolves.toBeUndefined();
    expect([outbox.behind, scene.wakes.length]).toEqual([true, 2]);
  });

  test("[SESSION12] is made up for in a later process", async () => {
    const { scene, open, change, write } = createScene();
    void open().flush();
    write(0).succeed();
    await settled();
    change(7);
    const later = open();
    expect(later.behind).toBe(true);
    void later.flush();
    write(1).succeed();
    await settled();
    expect(versions(scene.writes)).toEqual([0, 7]);
  });
});
