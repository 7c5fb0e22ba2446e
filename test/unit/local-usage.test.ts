import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { openNodeSql } from "../../src/local/node-sql.ts";
import { SessionIndex } from "../../src/local/session-index.ts";
import type { UsageLine } from "../../src/protocol/usage.ts";
import { writeMeta } from "../../src/session/settings.ts";
import { listedSession } from "../support/listed-session.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { anyUsage, aTurnUsage, sumsByKey, usageReference } from "../support/usage-rows.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

const PRICES = JSON.stringify({ demo: { input: 1_000_000, output: 0 } });

async function withHome(run: (home: string, open: () => InProcessGateway) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  const home = join(folder.path, "home");
  const opened: InProcessGateway[] = [];
  const open = () => {
    const gateway = new InProcessGateway({ home, models: {}, gateway: { GATEWAY_PRICES: PRICES }, holder: "a test" });
    opened.push(gateway);
    return gateway;
  };
  try {
    await run(home, open);
  } finally {
    for (const gateway of opened) await gateway.close();
  }
}

const errorWith = (code: string) => expect.objectContaining({ name: "GatewayError", code });
const calls = async (gateway: InProcessGateway) => {
  const { usage } = await gateway.usage({ group_by: "session" });
  return Object.fromEntries(usage.map(({ key, model_calls }) => [key, model_calls]));
};

test("[USAGE10] [USAGE1] in-process it is that of all sessions of the home, also of those that another process holds", () =>
  withHome(async (_, open) => {
    const [one, other] = [open(), open()];
    const first = await one.createSession();
    const second = await other.createSession();
    await one.runQuery(first.session_id, { user_input: "Write 'a' to a.txt, then Say 'b'" });
    const { usage: used } = await other.runQuery(second.session_id, { user_input: "Say 'x'" });
    expect(await calls(one)).toEqual({ [first.session_id]: 2, [second.session_id]: 1 });
    const report = await other.usage({ group_by: "session", limit: 1 });
    const { usage, total } = await other.usage({ group_by: "session", cursor: report.next_cursor ?? "" });
    const sums = { turns: 1, model_calls: 1, tool_calls: 0, ...used, cost_usd: used.input_tokens, unpriced_calls: 0 };
    expect(usage).toEqual([{ key: second.session_id, ...sums }]);
    expect(total).toMatchObject({ turns: 2, model_calls: 3, tool_calls: 1, unpriced_calls: 0 });
    const day = new Date().toISOString().slice(0, 10);
    expect(await one.usage()).toMatchObject({ group_by: "day", usage: [{ key: day, turns: 2 }], next_cursor: null });
    expect((await one.usage({ user_id: "nobody" })).total.turns).toBe(0);
  }));

test("[USAGE10] [USAGE6] in-process the same queries are refused as over the network", () =>
  withHome(async (_, open) => {
    const gateway = open();
    for (const query of [
      { from: "2026-01-02", to: "2026-01-02" },
      { from: "2025-01-01", to: "2026-01-03" },
      { from: "2026-02-30" },
      { limit: 0 },
      { limit: 1_001 },
      { user_id: "" },
    ]) {
      await expect(gateway.usage(query)).rejects.toEqual(errorWith("invalid_request"));
    }
    await expect(gateway.usage({ cursor: "x" })).rejects.toEqual(errorWith("bad_cursor"));
  }));

test("[USAGE5] [USAGE10] in-process a session that is deleted leaves its usage", () =>
  withHome(async (_, open) => {
    const gateway = open();
    const { session_id } = await gateway.createSession();
    await gateway.runQuery(session_id, { user_input: "Say 'x'" });
    for await (const event of gateway.execute(session_id, { user_input: "Wait 60 seconds" })) {
      if (event.type === "TOOL_CALL") break;
    }
    await gateway.deleteSession(session_id);
    expect(await calls(gateway)).toEqual({ [session_id]: 2 });
  }));

test("[USAGE5] [USAGE2] [USAGE10] what a process that died told nobody of is told as its session is opened, or goes", () =>
  withHome(async (home, open) => {
    for (const isDeleted of [false, true]) {
      const one = open();
      const { session_id } = await one.createSession();
      await one.runQuery(session_id, { user_input: "Say 'x'" });
      await one.close();
      const index = openNodeSql(join(home, "index.sqlite"));
      index.sql.exec("DELETE FROM usage WHERE session_id = ?", session_id);
      index.close();
      const state = openNodeSql(join(home, "state", session_id, "session.sqlite"));
      state.sql.exec("DELETE FROM meta WHERE key = 'indexed'");
      if (isDeleted) writeMeta(state.sql, "deleting", String(Date.now()));
      state.close();
      const other = open();
      expect((await calls(other))[session_id]).toBe(undefined);
      if (isDeleted) await expect(other.resumeSession(session_id)).rejects.toEqual(errorWith("not_found"));
      else await other.cancel(session_id);
      expect((await calls(other))[session_id]).toBe(1);
    }
  }));

test("[USAGE10] a list of before there was usage gets it, and one that is open in an older process stays as it is", () => {
  using folder = new TemporaryFolder();
  const path = join(folder.path, "index.sqlite");
  const session = listedSession();
  {
    using index = SessionIndex.open(path);
    index.put(session, 1);
  }
  const older = openNodeSql(path);
  older.sql.exec("DROP TABLE usage");
  using index = SessionIndex.open(path);
  expect(index.usage().total.turns).toBe(0);
  index.put(session, 2, [aTurnUsage({ ended_at: Date.now() })]);
  expect(index.usage().total.turns).toBe(1);
  expect(older.sql.exec("SELECT version FROM sessions")).toEqual([{ version: 2 }]);
  older.close();
});

test("[USAGE3] [USAGE10] in-process the row of the list and the usage are stored both or neither", () => {
  using folder = new TemporaryFolder();
  using index = SessionIndex.open(join(folder.path, "index.sqlite"));
  const session = listedSession();
  const broken = [{ ...aTurnUsage({ ended_at: Date.now() }), model: JSON.parse("null") }];
  expect(() => index.put(session, 1, broken)).toThrow("NOT NULL");
  expect(index.get(session.session_id)).toBe(null);
  index.put(session, 1);
  expect(() => index.remove(session.session_id, broken)).toThrow("NOT NULL");
  expect(index.get(session.session_id)).toEqual(session);
});

test("[USAGE7] [USAGE8] [USAGE10] in-process the report is what an array would say, page by page", () => {
  const moment = fc.integer({ min: Date.parse("2026-01-01"), max: Date.parse("2026-01-05") });
  const group = fc.constantFrom("day" as const, "user" as const, "model" as const, "session" as const);
  using folder = new TemporaryFolder();
  let lists = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(anyUsage, { maxLength: 5 }), { maxLength: 3 }),
      ...[group, moment, moment],
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(undefined, "ann"),
      (parts, group_by, a, b, limit, user_id) => {
        fc.pre(a !== b);
        using index = SessionIndex.open(join(folder.path, `${lists++}.sqlite`));
        const session = listedSession();
        for (const [i, rows] of parts.entries()) index.put(session, i, rows);
        for (const rows of parts) index.remove(session.session_id, rows);
        const range = { from: Math.min(a, b), to: Math.max(a, b) };
        const expected = usageReference(parts.flat(), { ...range, group_by, user_id: user_id ?? null });
        const times = { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
        const found: UsageLine[] = [];
        for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
          const asked = { ...times, group_by, limit, ...(user_id && { user_id }), ...(cursor !== null && { cursor }) };
          const page = index.usage(asked);
          expect(page).toMatchObject({ ...times, total: expected.total });
          found.push(...page.usage);
          cursor = page.next_cursor;
        }
        expect(found).toEqual(sumsByKey(expected.groups));
      },
    ),
    { numRuns: 15 },
  );
});
