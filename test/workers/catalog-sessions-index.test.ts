import { env } from "cloudflare:workers";
import fc from "fast-check";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { indexSession, listSessions, removeFromIndex, type SessionFilter } from "../../src/catalog/sessions-index.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { formatPageCursor } from "../../src/protocol/page-cursor.ts";
import type { Session } from "../../src/protocol/rest.ts";
import { noCounts } from "../bench/counts.ts";
import { listedSession } from "../support/listed-session.ts";
import { countBindings } from "./operations-meter.ts";

const aSession = (given: Partial<Session> = {}) => listedSession({ user_id: "ann", ...given });

const everything: SessionFilter = { user_id: null, status: null, q: null, limit: 50, cursor: null };
const list = (filter: Partial<SessionFilter> = {}) => listSessions(env.CATALOG, { ...everything, ...filter });
const titles = async (filter: Partial<SessionFilter>) => (await list(filter)).sessions.map(({ title }) => title);

/** A user that no other test has, so that tests see their own sessions alone. */
const aUser = () => `user-${ulid()}`;

test("[SESSION11] an old version of a session never beats a newer one, whatever the order of the writes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1 }), async (versions) => {
      const user_id = aUser();
      const session = aSession({ user_id });
      for (const version of versions) await indexSession(env.CATALOG, { ...session, title: `${version}` }, version);
      expect(await titles({ user_id })).toEqual([`${Math.max(...versions)}`]);
    }),
    { numRuns: 20 },
  );
});

test("[SESSION13] nothing brings a session back after its tombstone, and the tombstone may come first", async () => {
  const user_id = aUser();
  const listed = aSession({ user_id, title: "secret" });
  await indexSession(env.CATALOG, listed, 1);
  await removeFromIndex(env.CATALOG, listed.session_id);
  await removeFromIndex(env.CATALOG, listed.session_id);
  await indexSession(env.CATALOG, listed, 99);
  const early = aSession({ user_id });
  await removeFromIndex(env.CATALOG, early.session_id);
  await indexSession(env.CATALOG, early, 99);
  expect(await list({ user_id })).toEqual({ sessions: [], next_cursor: null });
  const row = await env.CATALOG.prepare("SELECT * FROM sessions WHERE session_id = ?").bind(listed.session_id).first();
  expect(row).toMatchObject({ user_id: null, title_folded: null, summary: null });
});

test("[SESSION11] a session is listed as it was written, newest activity first", async () => {
  const user_id = aUser();
  const old = aSession({ user_id, metadata: { nested: [1, { ключ: null }] } });
  const recent = aSession({ user_id, title: "🚀 'quoted'", updated_at: "2026-01-01T00:00:00.001Z" });
  await indexSession(env.CATALOG, recent, 1);
  await indexSession(env.CATALOG, old, 1);
  expect((await list({ user_id })).sessions).toEqual([recent, old]);
});

test("[SESSION11] status and user_id narrow the list", async () => {
  const [user_id, other] = [aUser(), aUser()];
  await indexSession(env.CATALOG, aSession({ user_id, title: `${user_id} idle` }), 1);
  await indexSession(env.CATALOG, aSession({ user_id, title: `${user_id} running`, status: "running" }), 1);
  await indexSession(env.CATALOG, aSession({ user_id: other, title: `${user_id} no more` }), 1);
  expect(await titles({ user_id, status: "running" })).toEqual([`${user_id} running`]);
  expect(await titles({ user_id: other })).toEqual([`${user_id} no more`]);
  const found = await list({ q: user_id });
  expect(found.sessions.map((session) => session.user_id).sort()).toEqual([user_id, user_id, other].sort());
});

test("[SESSION11] q finds a part of the title in any case and takes every character as itself", async () => {
  const user_id = aUser();
  for (const title of ["100% Ärger_Fall", "100 Prozent", null, "Straße\\Weg"]) {
    await indexSession(env.CATALOG, aSession({ user_id, title }), 1);
  }
  expect(await titles({ user_id, q: "0% äRGER" })).toEqual(["100% Ärger_Fall"]);
  expect(await titles({ user_id, q: "A\u0308rger" })).toEqual(["100% Ärger_Fall"]);
  expect(await titles({ user_id, q: "_" })).toEqual(["100% Ärger_Fall"]);
  expect(await titles({ user_id, q: "e\\w" })).toEqual(["Straße\\Weg"]);
  expect(await titles({ user_id, q: "%" })).toEqual(["100% Ärger_Fall"]);
  expect(await titles({ user_id, q: "x".repeat(200) })).toEqual([]);
  expect(await titles({ user_id, q: "" })).toHaveLength(4);
});

test("[REST6] pages of any size give every session once, also those that share a time", async () => {
  const user_id = aUser();
  const times = ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z"];
  for (let i = 0; i < 7; i++) {
    await indexSession(env.CATALOG, aSession({ user_id, title: `${i}`, updated_at: times[i % 2] ?? "" }), 1);
  }
  const whole = await titles({ user_id });
  for (const limit of [1, 2, 3, 6, 7, 8]) {
    const seen: (string | null)[] = [];
    let cursor: string | null = null;
    do {
      const page = await list({ user_id, limit, cursor });
      seen.push(...page.sessions.map(({ title }) => title));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(whole);
  }
});

test("[COST7] the last page of a list reads no more rows than the first, for one user and for an admin", async () => {
  const user_id = aUser();
  // Older than those of other tests.
  const updated = (number: number) => new Date(Date.parse("2001-01-01T00:00:00.000Z") + number).toISOString();
  const sessions = Array.from({ length: 300 }, (_, number) => aSession({ user_id, updated_at: updated(number) }));
  await Promise.all(sessions.map((session) => indexSession(env.CATALOG, session, 1)));
  const { updated_at = "", session_id = "" } = sessions[50] ?? {};
  const cursor = formatPageCursor([updated_at, session_id]);
  const rowsRead = async (filter: Partial<SessionFilter>) => {
    const counts = noCounts();
    const end = countBindings(env, counts);
    const page = await list(filter);
    end();
    expect(page.sessions).toHaveLength(50);
    return counts.d1RowsRead;
  };
  for (const user of [user_id, null]) {
    // The row of each in the index and its own, and the one that says whether there is another page.
    expect(await rowsRead({ user_id: user })).toBeLessThanOrEqual(2 * 51);
    expect(await rowsRead({ user_id: user, cursor })).toBeLessThanOrEqual(2 * 51);
  }
});

test("[CURSOR6] a cursor that no page ended with is bad_cursor", async () => {
  const forged = (value: unknown) => btoa(JSON.stringify(value));
  const cursors = [
    "",
    "0",
    "%%%",
    "ä",
    forged(null),
    forged(["2026-01-01T00:00:00.000Z", "session_x"]),
    forged([1, 2]),
  ];
  for (const cursor of cursors) {
    await expect(list({ cursor })).rejects.toSatisfy((e) => e instanceof GatewayError && e.code === "bad_cursor");
  }
});
