import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SqlRow } from "../../src/engine/ports.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import { USAGE_PART_TURNS } from "../../src/protocol/limits.ts";
import type { TurnUsage } from "../../src/protocol/usage.ts";
import { Deletion } from "../../src/session/deletion.ts";
import { IndexOutbox } from "../../src/session/index-outbox.ts";
import { createTables, upgradeTables } from "../../src/session/schema.ts";
import { readMeta, readSettings, type Settings, writeMeta, writeSettings } from "../../src/session/settings.ts";
import { spendingOf } from "../../src/session/spending.ts";
import type { TurnRow } from "../../src/session/turn-table.ts";
import { usageAfter, usageLeft, usageOfTurn } from "../../src/session/turn-usage.ts";
import { listedSession } from "../support/listed-session.ts";
import { makeOlder } from "../support/make-older.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  // A process that dies, and a list that cannot be reached, have much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

const PRICES = JSON.stringify({ "small*": { input: 1, output: 2 }, big: { input: 10, output: 20 } });
const SETTINGS: Partial<Settings> = { model: "big", fast_model: "small" };
const SCRIPTS = ["Write 'one' to a.txt, then Say 'Written.'", "Say 'Second.'"];

/** What a catalog keeps of rows that come late and often: the first of each, which those after it must equal. */
function stored(rows: TurnUsage[]): TurnUsage[] {
  const kept = new Map<string, TurnUsage>();
  for (const row of rows) {
    const key = `${row.user_id} ${row.ended_at} ${row.turn_id} ${row.model}`;
    expect(row).toEqual(kept.get(key) ?? row);
    kept.set(key, row);
  }
  return [...kept.values()];
}

type Summary = Pick<TurnUsage, "turn_id" | "model" | "model_calls" | "tool_calls" | "cost_usd">;
const summaryOf = (rows: Summary[]) =>
  rows
    .map(({ turn_id, model, model_calls, tool_calls, cost_usd }) =>
      JSON.stringify([turn_id, model, model_calls, tool_calls, cost_usd]),
    )
    .sort();

/** What the turns have used by their own rows, one that has not ended included. */
function spentIn(world: SessionWorld): Summary[] {
  const turns = world.sql.exec<TurnRow & SqlRow>("SELECT * FROM turns");
  return turns.flatMap((turn) =>
    Object.entries(spendingOf(turn)).map(([model, { calls, cost_usd }], i) => {
      return { turn_id: turn.turn_id, model, model_calls: calls, tool_calls: i === 0 ? turn.tool_calls : 0, cost_usd };
    }),
  );
}

const told = (world: SessionWorld) => stored(world.indexed.flatMap(({ usage }) => usage));

/** Runs the turns through processes that die after so many statements each, with a list that fails at some writes. */
async function survive(deaths: number[], isFailing: (write: number) => boolean): Promise<SessionWorld> {
  let writes = 0;
  const world = new SessionWorld({
    model: createDemoModel(),
    settings: SETTINGS,
    gateway: { GATEWAY_PRICES: PRICES },
    beforeIndex: async () => {
      if (isFailing(writes++)) throw new Error("unreachable");
    },
  });
  world.start();
  let turnId: string | undefined;
  for (const statements of [...deaths, Number.POSITIVE_INFINITY]) {
    try {
      world.start(statements);
      for (const user_input of SCRIPTS) turnId = world.session.submit(ALICE, { user_input }, user_input).turn_id;
    } catch (thrown) {
      expect(thrown).toHaveProperty("name", "Killed");
      continue;
    }
    const ended = world.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnId);
    await Promise.race([ended, world.died()]);
  }
  await world.ended(turnId ?? "");
  return world;
}

async function follow(world: SessionWorld): Promise<void> {
  while (world.session.index.behind) await world.session.index.flush();
}

describe("what a turn used", () => {
  test("[USAGE1] is told by model, with its tool calls at the first, for the session's owner, at the turn's end", async () => {
    const world = await survive([], () => false);
    await follow(world);
    const [first, second] = world.sql.exec<{ turn_id: string; ended_at: number }>(
      "SELECT turn_id, ended_at FROM turns ORDER BY turn_id",
    );
    const { session_id, user_id } = world.session.settings;
    expect(told(world)).toMatchObject([
      { ...first, session_id, user_id, model: "small", model_calls: 1, tool_calls: 1, cost_usd: expect.any(Number) },
      { ...first, session_id, user_id, model: "big", model_calls: 1, tool_calls: 0, cost_usd: expect.any(Number) },
      { ...second, session_id, user_id, model: "small", model_calls: 1, tool_calls: 0 },
    ]);
    expect(summaryOf(told(world))).toEqual(summaryOf(spentIn(world)));
  });

  test("[USAGE1] nothing is told of a turn that used no model", async () => {
    const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo" } });
    const running = world.submit("Wait 60 seconds");
    await world.until(({ type }) => type === "TOOL_CALL");
    world.session.withdraw(world.submit("Say 'never'"));
    await world.session.cancel(running);
    await world.ended(running);
    await follow(world);
    expect(told(world).map(({ turn_id }) => turn_id)).toEqual([running]);
  });

  test("[USAGE12] of a turn of before it was told by model is all of the model that it started with, without a price", () => {
    const usage = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 };
    const old = { turn_id: "turn", ended_at: 5, spent: null, model: "old", model_calls: 2, tool_calls: 3 };
    const session = { session_id: "session", user_id: "ann" };
    const { spent: _, ...same } = old;
    expect(usageOfTurn({ ...old, usage: JSON.stringify(usage) }, session)).toEqual([
      { ...session, ...same, ...usage, cost_usd: null },
    ]);
    expect(usageOfTurn({ ...old, usage: null }, session)).toEqual([]);
  });
});

test("[USAGE2] counts once, whatever statement its processes die at and whichever writes of the list fail", async () => {
  const deaths = fc.array(fc.nat({ max: 160 }), { maxLength: 3 });
  const failures = fc.array(fc.boolean(), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(deaths, failures, async (deaths, failing) => {
      const world = await survive(deaths, (write) => failing[write] === true);
      await follow(world);
      expect(summaryOf(told(world))).toEqual(summaryOf(spentIn(world)));
      // In a later process there is nothing more to tell.
      const before = world.indexed.length;
      world.start();
      await follow(world);
      expect(world.indexed.slice(before).flatMap(({ usage }) => usage)).toEqual([]);
    }),
    { numRuns: 60 },
  );
}, 30_000);

test("[USAGE2] is told at once by a process that dies as the write is done, and again by the next, and counts once", async () => {
  const world = await survive([], (write) => write < 3);
  await follow(world);
  const before = told(world);
  // What was written was not remembered.
  world.sql.exec("DELETE FROM meta WHERE key = 'indexed'");
  world.start();
  await follow(world);
  expect(world.indexed.length).toBeGreaterThan(1);
  expect(told(world)).toEqual(before);
});

/** A session of which so many turns have ended since its index row was written, after so many other changes of it. */
function createScene(turns: number, revision = 0) {
  const sql = createNodeSql(new DatabaseSync(":memory:"));
  createTables(sql);
  const { session_id, user_id } = listedSession();
  const settings: Settings = {
    session_id,
    user_id,
    title: null,
    model: "demo",
    fast_model: null,
    system: null,
    max_iterations: 1,
    metadata: {},
    space_id: null,
    created_at: 0,
    changed_at: 0,
    revision,
  };
  writeSettings(sql, settings);
  const tokens = { input_tokens: 1, output_tokens: 1, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  const spent = JSON.stringify({ demo: { calls: 1, usage: tokens, cost_usd: null } });
  const idOf = (n: number) => `turn_${String(n).padStart(6, "0")}`;
  sql.transaction(() => {
    for (let n = 1; n <= turns; n++) {
      sql.exec(
        `INSERT INTO turns (turn_id, position, status, waited, request, user_id, cursor, created_at, ended_at, model_calls, usage, spent)
         VALUES (?, ?, 'complete', 0, '{}', ?, '0', 0, ?, 1, ?, ?)`,
        ...[idOf(n), n, user_id, n, JSON.stringify(tokens), spent],
      );
      sql.exec("INSERT INTO events VALUES (?, 'USER_INPUT', ?, 0, '{}')", 2 * n - 1, idOf(n));
      sql.exec("INSERT INTO events VALUES (?, 'ITERATION_END', ?, 0, '{}')", 2 * n, idOf(n));
    }
  });
  const sent: { version: number; turns: string[] }[] = [];
  const scene = { failing: new Set<number>(), writes: 0 };
  const take = (version: number, usage: TurnUsage[]) => {
    if (scene.failing.has(scene.writes++)) throw new Error("unreachable");
    sent.push({ version, turns: usage.map(({ turn_id }) => turn_id) });
  };
  const host = {
    now: () => 0,
    wakeAt: () => {},
    broadcast: () => {},
    index: async (_: unknown, version: number, usage: TurnUsage[]) => take(version, usage),
  };
  const summary = () => listedSession({ session_id });
  const open = () => new IndexOutbox({ sql, host, summary, settings: () => settings, lastSeq: () => 2 * turns });
  const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => idOf(from + i));
  return { sql, settings, sent, scene, open, ids, take };
}

describe("many turns that ended while the list was away", () => {
  test("[USAGE2] [USAGE3] go in parts, and where one fails, from there on", async () => {
    const { sql, sent, scene, open, ids } = createScene(2 * USAGE_PART_TURNS + 50, 3);
    scene.failing = new Set([1]);
    const outbox = open();
    await outbox.flush();
    expect([outbox.behind, readMeta(sql, "indexed")]).toEqual([true, null]);
    await outbox.flush();
    expect(sent.map(({ turns }) => turns)).toEqual([
      ids(1, USAGE_PART_TURNS),
      ids(USAGE_PART_TURNS + 1, 2 * USAGE_PART_TURNS),
      ids(2 * USAGE_PART_TURNS + 1, 2 * USAGE_PART_TURNS + 50),
    ]);
    const version = 2 * (2 * USAGE_PART_TURNS + 50) + 3;
    expect([outbox.behind, readMeta(sql, "indexed")]).toEqual([false, String(version)]);
    expect(new Set(sent.map((part) => part.version))).toEqual(new Set([version]));
  });

  test("[USAGE2] [USAGE3] go again from the first of them, where the process died between two parts", async () => {
    const { sent, scene, open, ids } = createScene(USAGE_PART_TURNS + 1);
    scene.failing = new Set([1]);
    await open().flush();
    await open().flush();
    expect(sent.map(({ turns }) => turns.length)).toEqual([USAGE_PART_TURNS, USAGE_PART_TURNS, 1]);
    expect(new Set(sent.flatMap(({ turns }) => turns))).toEqual(new Set(ids(1, USAGE_PART_TURNS + 1)));
  });

  test("[USAGE2] what was told before is told again at most for as many events as the session had other changes", () => {
    const { sql, settings } = createScene(30, 4);
    writeMeta(sql, "indexed", String(2 * 30 + 4));
    expect(usageAfter(sql, 2 * 30, settings)).toEqual({ usage: [], upTo: null });
    writeMeta(sql, "deleting", "99");
    const again = [...usageLeft(sql)].flat().map(({ turn_id }) => turn_id);
    expect(again).toEqual([]);
    // The row was written before the last two of the changes.
    writeMeta(sql, "indexed", String(2 * 30 + 2));
    expect([...usageLeft(sql)].flat().map(({ turn_id }) => turn_id)).toEqual(["turn_000030"]);
  });

  test("[USAGE12] of a session of before are found once it is brought up to date", () => {
    const { sql, settings } = createScene(3);
    writeMeta(sql, "indexed", "6");
    makeOlder(sql, 2);
    upgradeTables(sql);
    expect(readMeta(sql, "indexed")).toBe(null);
    expect(usageAfter(sql, 0, settings).usage).toHaveLength(3);
  });
});

describe("a session that is deleted", () => {
  test("[USAGE5] tells what it had not told, and what its running turn has used, the same at each try", async () => {
    const world = new SessionWorld({
      model: createDemoModel(),
      settings: SETTINGS,
      gateway: { GATEWAY_PRICES: PRICES },
      beforeIndex: async () => {
        throw new Error("unreachable");
      },
    });
    await world.run("Say 'x'");
    world.submit("Wait 60 seconds");
    await world.until(({ type }) => type === "TOOL_CALL");
    world.kill();
    writeMeta(world.sql, "deleting", "1790000000000");
    const left = [...usageLeft(world.sql)];
    expect(left).toHaveLength(1);
    expect(summaryOf(left.flat())).toEqual(summaryOf(spentIn(world)));
    expect(left.flat().map(({ ended_at }) => ended_at)).toContain(1790000000000);
    expect([...usageLeft(world.sql)]).toEqual(left);
  });

  test("[USAGE5] [USAGE3] goes in parts, each with the tombstone, and only after them its storage", async () => {
    const { sql, sent, scene, settings, take, ids } = createScene(2 * USAGE_PART_TURNS + 1);
    const steps: string[] = [];
    let now = 0;
    const deletion = new Deletion({
      sql,
      now: () => now,
      wakeAt: () => {},
      leaveSpace: async () => {
        steps.push("space");
      },
      removeFromIndex: async (_, usage) => take(0, usage),
      deleteAll: async () => {
        steps.push("storage");
      },
    });
    deletion.mark();
    scene.failing = new Set([1]);
    await deletion.begin(settings);
    expect(sent.map(({ turns }) => turns.length)).toEqual([USAGE_PART_TURNS]);
    now = 120_000;
    scene.failing = new Set([2]);
    await expect(deletion.goOn()).rejects.toThrow("unreachable");
    expect(steps).toEqual(["space", "space"]);
    sent.length = 0;
    await deletion.goOn();
    expect(sent.flatMap(({ turns }) => turns)).toEqual(ids(1, 2 * USAGE_PART_TURNS + 1));
    expect(steps).toEqual(["space", "space", "space", "storage"]);
  });

  test("[USAGE5] [USAGE12] tells it too where an older version had begun to delete it", () => {
    const { sql } = createScene(3);
    writeMeta(sql, "indexed", "6");
    makeOlder(sql, 2);
    writeMeta(sql, "deleting", "9");
    expect([...usageLeft(sql)].flat()).toHaveLength(3);
    expect(readSettings(sql)).not.toBe(null);
  });
});

test("[USAGE2] of a turn that ends while a write is under way goes with the next", async () => {
  const held = Promise.withResolvers<void>();
  const world = new SessionWorld({
    model: createDemoModel(),
    settings: { model: "demo" },
    beforeIndex: () => held.promise,
  });
  await world.run("Say 'x'");
  expect(world.indexed).toEqual([]);
  held.resolve();
  await follow(world);
  expect(told(world)).toHaveLength(1);
});
