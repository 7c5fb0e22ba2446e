import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { beforeEach, expect, test, vi } from "vitest";
import { indexSession } from "../../src/catalog/sessions-index.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import { type UsageReport, usageReport } from "../../src/protocol/usage.ts";
import { SECOND_SWEEP_MS } from "../../src/session/next-wake.ts";
import { listedSession } from "../support/listed-session.ts";
import { aTurnUsage } from "../support/usage-rows.ts";
import { ADMIN_TOKEN, type Asked, ask, codeOf, read } from "./http-scene.ts";
import { isEmpty } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { countWritten } from "./row-meter.ts";
import { createScene, unwrap } from "./session-scene.ts";
import { aroundStorage, createKiller, FAULTS, failure, useFastTimers } from "./storage-faults.ts";

const ALL_SPEED = 300;
const asAdmin = { token: ADMIN_TOKEN };
const DAY_MS = 86_400_000;

beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  await env.CATALOG.exec("DELETE FROM usage");
});

/** A user that no other test has. */
const aUser = (): Principal => ({ user_id: `user-${ulid()}`, scopes: ["read", "write"] });

async function usage(query: Record<string, string> = {}, asked: Asked = asAdmin): Promise<UsageReport> {
  const response = await ask("GET", `usage?${new URLSearchParams(query)}`, asked);
  return usageReport.parse(await response.json());
}

/** What is told of a user, by model. */
async function toldOf({ user_id }: Principal): Promise<[string, number, number][]> {
  const { usage: lines } = await usage({ user_id, group_by: "model" });
  return lines.map(({ key, turns, model_calls }) => [key, turns, model_calls]);
}

const store = (...rows: Parameters<typeof aTurnUsage>[0][]) =>
  indexSession(env.CATALOG, listedSession(), 1, rows.map(aTurnUsage));

test("[USAGE1] [USAGE6] [USAGE7] what a turn used is told once it has ended, by day, user, model and session", async () => {
  const user = aUser();
  const { session_id, run } = await createScene({}, user);
  const turn = await run("Write 'a' to a.txt, then Say 'b'");
  await vi.waitFor(async () => expect(await toldOf(user)).toEqual([["demo", 1, 2]]));
  const sums = { turns: 1, model_calls: 2, tool_calls: 1, ...turn.usage, cost_usd: null, unpriced_calls: 2 };
  const day = new Date().toISOString().slice(0, 10);
  const keys = { day, user: user.user_id, model: "demo", session: session_id };
  for (const [group_by, key] of Object.entries(keys)) {
    expect(await usage({ group_by, user_id: user.user_id })).toEqual({
      from: expect.any(String),
      to: expect.any(String),
      group_by,
      usage: [{ key, ...sums }],
      total: sums,
      next_cursor: null,
    });
  }
});

test("[USAGE4] a turn writes its usage in D1 as one row, and nothing for it in the session", async () => {
  const user = aUser();
  const { session_id, run } = await createScene({}, user);
  await run("Say 'first'");
  const written = await countWritten(session_id, () => run("Say 'x'"));
  expect(await toldOf(user)).toEqual([["demo", 2, 2]]);
  // The session's row with its two indexes, at the turn's start and at its end, and the one row of usage.
  expect(written.d1).toBe(3 + 3 + 1);
  expect(written.rows).toBeLessThanOrEqual(14);
});

test("[USAGE6] the range is half open, days are those of UTC, and without one it is the 30 days up to the end of today", async () => {
  const { user_id } = aUser();
  const at = (ended_at: string) => ({ user_id, ended_at: Date.parse(ended_at) });
  await store(at("2026-01-31T00:00:00.000Z"), at("2026-01-31T23:59:59.999Z"), at("2026-02-01T00:00:00.000Z"));
  const days = async (query: Record<string, string>) =>
    (await usage({ user_id, ...query })).usage.map(({ key }) => key);
  expect(await days({ from: "2026-01-31", to: "2026-02-01" })).toEqual(["2026-01-31"]);
  expect(await days({ from: "2026-02-01T01:00:00+01:00", to: "2026-03-01" })).toEqual(["2026-02-01"]);
  expect(await days({ from: "2026-01-31T00:00:00.001Z", to: "2026-02-01T00:00:00.001Z" })).toHaveLength(2);
  expect(await days({ from: "2026-01-31T23:59:59.999Z", to: "2026-02-01T00:00:00Z" })).toEqual(["2026-01-31"]);
  const { from, to } = await usage();
  const tomorrow = (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS;
  expect([Date.parse(from), Date.parse(to)]).toEqual([tomorrow - 30 * DAY_MS, tomorrow]);
  expect(await usage({ to: "2026-02-01" })).toMatchObject({ from: "2026-01-02T00:00:00.000Z", group_by: "day" });
});

test("[USAGE6] a range that is empty, too long or none, and whatever else is not known, is invalid_request", async () => {
  const queries = [
    "from=2026-01-02&to=2026-01-02",
    "from=2026-01-02&to=2026-01-01",
    "from=2025-01-01&to=2026-01-03",
    "from=2000-01-01",
    "to=0000-01-01",
    "to=1970-01-01",
    "from=1969-12-31&to=1970-01-02",
    "from=9999-12-01&to=9999-12-31T23:59:59-01:00",
    "from=2026-02-30",
    "from=yesterday",
    "from=2026-01-01T00:00:00",
    "to=",
    "group_by=week",
    "limit=0",
    "limit=1001",
    "user_id=",
    "by=day",
  ];
  for (const query of queries) {
    expect([query, await codeOf(await ask("GET", `usage?${query}`))]).toEqual([query, "invalid_request"]);
  }
  expect((await read(await ask("GET", "usage?from=2025-01-01&to=2026-01-02"))).status).toBe(200);
  expect(await usage({ to: "1970-01-02" })).toMatchObject({ from: "1970-01-01T00:00:00.000Z", usage: [] });
  expect(await codeOf(await ask("GET", "usage?cursor=x"))).toBe("bad_cursor");
  expect(await codeOf(await ask("GET", "usage", { token: null }))).toBe("unauthenticated");
  expect(await codeOf(await ask("GET", "usage", { token: "ann-write" }))).toBe("forbidden");
});

test("[USAGE8] a cost is of what had a price, and the calls that had none are counted", async () => {
  const { user_id } = aUser();
  const ended_at = Date.now();
  const used = (model: string, model_calls: number, cost_usd: number | null) => ({
    ...{ user_id, ended_at, model, model_calls, cost_usd },
  });
  await store(used("a", 1, 0.1), used("a", 2, 0.2), used("b", 4, 0.25), used("b", 8, null), used("c", 16, null));
  const report = await usage({ user_id, group_by: "model" });
  const costs = [...report.usage, report.total].map(({ cost_usd, unpriced_calls }) => [cost_usd, unpriced_calls]);
  expect(costs).toEqual([
    [0.3, 0],
    [0.25, 8],
    [null, 16],
    [0.55, 24],
  ]);
});

test("[USAGE9] one sees one's own, an admin everyone's or that of one", async () => {
  const ended_at = Date.now();
  await store({ user_id: "ann", ended_at }, { user_id: "bob", ended_at }, { user_id: "bob", ended_at, model: "x" });
  const users = async (query: Record<string, string>, asked: Asked) => {
    const { usage: lines, total } = await usage({ group_by: "user", ...query }, asked);
    return [...lines.map(({ key }) => key), total.turns];
  };
  expect(await users({}, { token: "ann" })).toEqual(["ann", 1]);
  expect(await users({ user_id: "ann" }, { token: "ann-read" })).toEqual(["ann", 1]);
  expect(await users({}, { token: "bob" })).toEqual(["bob", 2]);
  expect(await users({}, asAdmin)).toEqual(["ann", "bob", 3]);
  expect(await users({ user_id: "bob" }, asAdmin)).toEqual(["bob", 2]);
  expect(await users({ user_id: "nobody" }, asAdmin)).toEqual([0]);
  // Whether there is such a user makes no difference.
  for (const user_id of ["bob", "nobody"]) {
    expect(await codeOf(await ask("GET", `usage?user_id=${user_id}`))).toBe("forbidden");
  }
});

/** How many rows are stored for a user; read in a way that no fault of a test gets in. */
async function storedFor({ user_id }: Principal): Promise<unknown[]> {
  return await env.CATALOG.prepare("SELECT model, model_calls FROM usage WHERE user_id = ?").bind(user_id).raw();
}

/** Lets the alarm of a session go off, later and later, until `done`. */
async function untilDone(sessionId: string, clock: ReturnType<typeof useClock>, done: () => Promise<boolean>) {
  for (let i = 0; i < 500; i++) {
    // A kill in the alarm is one more of its tries.
    await runDurableObjectAlarm(env.SESSIONS.getByName(sessionId)).catch(() => {});
    if (await done().catch(() => false)) return;
    clock.putForward(SECOND_SWEEP_MS);
    // For what the alarm has begun.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("it is never done");
}

test.for(Object.keys(FAULTS))(
  "[USAGE2] [USAGE5] what was used counts once, also where any one batch of D1 %s, be it of a turn or of the deletion after it",
  { timeout: 30_000 },
  async (name, { expect }) => {
    const clock = useClock();
    useFastTimers(ALL_SPEED);
    let calls = 0;
    let faultAt = Number.POSITIVE_INFINITY;
    let broken = false;
    let sessionId = "";
    const killer = createKiller();
    aroundStorage((call) => {
      if (!call.name.startsWith("D1")) return call.go();
      if (broken) return failure();
      // What is more than one statement: usage, and the space's, never goes alone.
      if (call.name !== "D1 batch") return call.go();
      const fault = calls++ === faultAt ? FAULTS[name] : undefined;
      return fault === undefined ? call.go() : fault(call, () => killer.over(sessionId));
    });
    for (const act of ["run", "remove"]) {
      for (let n = 0, reached = true; reached; n++) {
        faultAt = Number.POSITIVE_INFINITY;
        const user = aUser();
        const { session_id, submit, run } = await createScene({}, user);
        sessionId = session_id;
        const object = () => env.SESSIONS.getByName(session_id);
        if (act === "remove") {
          broken = true;
          await run("Say 'x'");
          broken = false;
        }
        [calls, faultAt] = [0, n];
        if (act === "run") await submit("Say 'x'");
        else await killer.during(object().remove(user)).catch(() => null);
        const isDone = async () => (act === "remove" ? await isEmpty(session_id) : (await storedFor(user)).length > 0);
        await killer.during(untilDone(session_id, clock, isDone));
        reached = calls > n;
        faultAt = Number.POSITIVE_INFINITY;
        expect(await storedFor(user), `${act}, call ${n}`).toEqual([["demo", 1]]);
      }
    }
  },
);

test("[USAGE5] what was used is told by a session that is deleted while D1 is away, and stays", async () => {
  const clock = useClock();
  useFastTimers(ALL_SPEED);
  const user = aUser();
  const { session_id, stub, run } = await createScene({}, user);
  let broken = true;
  aroundStorage(({ name, go }) => (broken && name.startsWith("D1") ? failure() : go()));
  await run("Say 'secret'");
  unwrap(await stub.remove(user));
  for (let i = 0; i < 3; i++) {
    clock.putForward(SECOND_SWEEP_MS);
    await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  }
  expect(await isEmpty(session_id)).toBe(false);
  broken = false;
  await untilDone(session_id, clock, () => isEmpty(session_id));
  expect(await toldOf(user)).toEqual([["demo", 1, 1]]);
  const rows = await env.CATALOG.prepare("SELECT * FROM usage WHERE user_id = ?").bind(user.user_id).all();
  expect(JSON.stringify(rows.results)).not.toContain("secret");
});
