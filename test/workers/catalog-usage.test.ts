import { env } from "cloudflare:workers";
import fc from "fast-check";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { indexSession, removeFromIndex } from "../../src/catalog/sessions-index.ts";
import { readUsage } from "../../src/catalog/usage.ts";
import { USAGE_PART_TURNS } from "../../src/protocol/limits.ts";
import type { UsageLine } from "../../src/protocol/usage.ts";
import { type UsageQuery, usageStatements } from "../../src/protocol/usage-query.ts";
import { listedSession } from "../support/listed-session.ts";
import { anyUsage, aTurnUsage, sumsByKey, usageReference } from "../support/usage-rows.ts";
import { aroundStorage, failure } from "./storage-faults.ts";

const FIRST = {
  from: 0,
  to: Date.parse("2100-01-01"),
  group_by: "day",
  user_id: null,
  limit: 366,
  cursor: null,
} as const;

const store = (usage: ReturnType<typeof aTurnUsage>[]) => indexSession(env.CATALOG, listedSession(), 1, usage);
const report = (asked: Partial<UsageQuery>) => readUsage(env.CATALOG, { ...FIRST, ...asked });
const countRows = async (user_id: string) =>
  (await env.CATALOG.prepare("SELECT * FROM usage WHERE user_id = ?").bind(user_id).all()).results.length;

test("[USAGE4] a row of usage is one row written in D1, and none where it is stored already", async () => {
  const written: number[] = [];
  aroundStorage(async ({ name, go }) => {
    const results = await go();
    if (name === "D1 batch" && Array.isArray(results)) written.push(results.at(-1).meta.rows_written);
    return results;
  });
  const user_id = ulid();
  const rows = Array.from({ length: 3 }, () => aTurnUsage({ user_id }));
  await store(rows.slice(0, 2));
  await store(rows);
  await store(rows);
  expect(written).toEqual([2, 1, 0]);
  expect(await countRows(user_id)).toBe(3);
});

test("[USAGE3] [USAGE5] the index row, or the tombstone, and the usage are stored both or neither", async () => {
  const user_id = ulid();
  const session = listedSession({ user_id });
  const rows = [aTurnUsage({ user_id })];
  const broken = [{ ...aTurnUsage({ user_id }), model: JSON.parse("null") }];
  const titleOf = () =>
    env.CATALOG.prepare("SELECT summary FROM sessions WHERE session_id = ?").bind(session.session_id).first("summary");
  await expect(indexSession(env.CATALOG, session, 1, broken)).rejects.toThrow("NOT NULL");
  expect([await titleOf(), await countRows(user_id)]).toEqual([null, 0]);
  await indexSession(env.CATALOG, session, 1, rows);
  await expect(removeFromIndex(env.CATALOG, session.session_id, broken)).rejects.toThrow("NOT NULL");
  expect([await titleOf(), await countRows(user_id)]).toEqual([expect.any(String), 1]);
  await removeFromIndex(env.CATALOG, session.session_id, [...rows, aTurnUsage({ user_id })]);
  expect([await titleOf(), await countRows(user_id)]).toEqual([null, 2]);
});

test("[USAGE3] [USAGE4] as many turns as go at once, with names as long as they may be, are one statement", async () => {
  const user_id = ulid().padEnd(128, "ü");
  const rows = Array.from({ length: 2 * USAGE_PART_TURNS }, () => aTurnUsage({ user_id, model: "ü".repeat(128) }));
  await store(rows);
  expect((await report({ user_id })).total.turns).toBe(rows.length);
});

test("[USAGE6] [USAGE7] [USAGE8] what is reported is what an array would say, whatever it is grouped by, page by page", async () => {
  const group = fc.constantFrom("day" as const, "user" as const, "model" as const, "session" as const);
  const moment = fc.integer({ min: Date.parse("2026-01-01"), max: Date.parse("2026-01-05") });
  const rows = fc.array(anyUsage, { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      rows,
      group,
      moment,
      moment,
      fc.integer({ min: 1, max: 4 }),
      async (rows, group_by, a, b, limit) => {
        // Users that no other test has.
        const mark = ulid();
        const mine = rows.map((row) => ({ ...row, user_id: `${mark} ${row.user_id}` }));
        await env.CATALOG.exec("DELETE FROM usage");
        if (mine.length > 0) await store(mine);
        for (const user_id of [null, `${mark} ann`]) {
          const range = { from: Math.min(a, b), to: Math.max(a, b) };
          const expected = usageReference(mine, { ...range, group_by, user_id });
          const found: UsageLine[] = [];
          for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
            const page = await report({ ...range, group_by, user_id, limit, cursor });
            expect(page.total).toEqual(expected.total);
            expect(page.usage.length).toBeLessThanOrEqual(limit);
            found.push(...page.usage);
            cursor = page.next_cursor;
          }
          expect(found).toEqual(sumsByKey(expected.groups));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("[USAGE4] both what a user and what everyone used is found by the primary key", async () => {
  for (const user_id of [null, "ann"]) {
    for (const { query, params } of Object.values(usageStatements({ ...FIRST, user_id }))) {
      const { results } = await env.CATALOG.prepare(`EXPLAIN QUERY PLAN ${query}`)
        .bind(...params)
        .all<{ detail: string }>();
      const plan = results.map(({ detail }) => detail).filter((detail) => detail.includes("usage"));
      expect(plan.length).toBeGreaterThan(0);
      // The first step of the users' names: the first entry of the key.
      for (const detail of plan) expect(detail).toMatch(/^SEARCH usage USING PRIMARY KEY( \(user_id[>=].*\))?$/);
      expect(plan.at(-1)).toMatch(/user_id=\? AND ended_at>\? AND ended_at<\?/);
    }
  }
});

test("[USAGE7] a cursor that no page ended with is bad_cursor", async () => {
  for (const cursor of ["", "0", "%%%", btoa("[1]"), btoa('["a","b"]')]) {
    await expect(report({ cursor })).rejects.toMatchObject({ code: "bad_cursor" });
  }
});

test("[USAGE6] a database that cannot be reached is no report", async () => {
  aroundStorage(() => failure());
  await expect(report({})).rejects.toThrow();
});
