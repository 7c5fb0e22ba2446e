import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { dueTokenSessions } from "../../src/catalog/token-sessions.ts";
import { CLOSE_CODES } from "../../src/protocol/frames.ts";
import {
  REVOCATION_BATCH,
  REVOCATION_CALLS_MAX,
  REVOCATION_LOOK_MS,
  REVOCATION_PASS_MS,
  TOKEN_CACHE_MS,
} from "../../src/protocol/limits.ts";
import { ticket } from "../../src/protocol/tokens.ts";
import { ask, codeOf, newSession, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { useClock } from "./platform.ts";
import { aroundStorage, createDoor, failure, refuseStatements } from "./storage-faults.ts";
import {
  asAdmin,
  askStream,
  newToken,
  notedSessions,
  openStream,
  revoke,
  revokeInDatabase,
  tokenWithSession,
} from "./token-scene.ts";

const HOUR_MS = 3_600_000;
/** The gateway looks again by then, though the clock of a test before was ahead of this one's when it looked last. */
const LOOKS_AGAIN_MS = 2 * REVOCATION_LOOK_MS;
const UNAUTHENTICATED = { code: CLOSE_CODES.unauthenticated };
const SSE = { headers: { accept: "text/event-stream" } };

const health = async () => (await ask("GET", "health", { token: null })).text();

test("[TOKEN10] with a token end the sockets, streams and waits that it opened, on every session, and no others", async () => {
  const { session_id, ...mine } = await tokenWithSession();
  const second = await newSession(mine);
  const other = await newToken({ user_id: mine.user_id });
  const made = await ask("POST", `sessions/${session_id}/tickets`, { ...mine, json: {} });
  const { ticket: shown } = ticket.parse(await made.json());
  const sockets = [
    await openStream(session_id, mine),
    await openStream(second.session_id, mine),
    await openStream(session_id, { token: null }, `?ticket=${shown}`),
  ];
  const others = [await openStream(session_id, other), await openStream(session_id, asAdmin)];
  const stream = new SseClient(await ask("GET", `sessions/${session_id}/events`, { ...mine, ...SSE }));
  const turn = { user_input: "Wait 60 seconds" };
  const waiting = ask("POST", `sessions/${second.session_id}/turns?wait=60`, { ...mine, json: turn });
  await sockets[1]?.until(({ type }) => type === "TOOL_CALL");

  expect(await revoke(mine.token_id)).toBe(204);

  for (const socket of sockets) expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  await stream.toEnd();
  expect(await codeOf(await waiting)).toBe("unauthenticated");
  expect(await codeOf(await askStream(session_id, mine))).toBe("unauthenticated");
  expect(await notedSessions(mine.token_id)).toEqual([]);
  await submit(session_id, "Say 'still here'", other);
  for (const socket of others) {
    await socket.until(({ type }) => type === "ITERATION_END");
    socket.close();
  }
  await (await ask("POST", `sessions/${second.session_id}/cancel`, { ...other, json: {} })).text();
  // What is repeated says the same, and what there is not is said to be nowhere.
  expect(await revoke(mine.token_id)).toBe(204);
  expect(await revoke("token_01ARZ3NDEKTSV4RRFFQ69G5FAV")).toBe(404);
  expect(await revoke("token_x")).toBe(404);
});

/** Notes sessions that are gone, older than all others: whoever is told there knows nothing of it. */
async function noteGone(token_id: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) => `session_0${String(i).padStart(25, "0")}`);
  await env.CATALOG.prepare("INSERT INTO token_sessions (token_id, session_id) SELECT ?1, value FROM json_each(?2)")
    .bind(token_id, JSON.stringify(ids))
    .run();
  return ids;
}

test("[TOKEN10] [TOKEN11] of more sessions than one request tells the newest are told first, and the next request goes on at once", async () => {
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const socket = await openStream(session_id, mine);
  const told: string[] = [];
  // Only that one has an object: to start hundreds of them takes long.
  const reach = (id: string) =>
    id === session_id ? env.SESSIONS.getByName(id) : { revokeToken: async () => ({ ok: true, value: told.push(id) }) };
  const SESSIONS = new Proxy(env.SESSIONS, { get: () => reach });
  const gone = await noteGone(token_id, REVOCATION_CALLS_MAX + 4);
  const asked = { env: { SESSIONS } };
  expect(await codeOf(await ask("DELETE", `tokens/${token_id}`, { ...asAdmin, ...asked }))).toBe("unavailable");
  expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(told).toEqual(gone.toReversed().slice(0, REVOCATION_CALLS_MAX - 1));
  const isSettled = Promise.withResolvers<void>();
  aroundStorage(async ({ name, bound, go }) => {
    const answer = await go();
    if (name === "D1 batch" && bound.includes(token_id)) isSettled.resolve();
    return answer;
  });
  await (await ask("GET", "health", asked)).text();
  await isSettled.promise;
  expect(await notedSessions(token_id)).toEqual([]);
});

test("[TOKEN11] what tells sessions stops when its time is up, and a repeat goes on", async () => {
  const clock = useClock();
  const { token_id } = await newToken();
  const gone = await noteGone(token_id, REVOCATION_BATCH + 3);
  let isFirst = true;
  aroundStorage(async ({ name, bound, go }) => {
    const answer = await go();
    if (isFirst && name === "D1 batch" && bound.includes(gone[3] ?? "")) {
      isFirst = false;
      clock.putForward(REVOCATION_PASS_MS);
    }
    return answer;
  });
  expect(await revoke(token_id)).toBe(503);
  expect(await notedSessions(token_id)).toEqual(gone.slice(0, 3));
  expect(await revoke(token_id)).toBe(204);
});

test("[TOKEN11] sessions that nobody tried to tell come before those that were told in vain", async () => {
  const { token_id } = await newToken();
  const [first, second, third, fourth] = await noteGone(token_id, 4);
  await revokeInDatabase(token_id);
  const now = Date.now() + 2;
  const retry = env.CATALOG.prepare("UPDATE token_sessions SET due_at = ?3 WHERE token_id = ?1 AND session_id = ?2");
  await env.CATALOG.batch([retry.bind(token_id, fourth, now), retry.bind(token_id, second, now + 1)]);
  const due = await dueTokenSessions(env.CATALOG, { token_id, now, limit: 10 });
  expect(due.map(({ session_id }) => session_id)).toEqual([third, first, fourth]);
  await env.CATALOG.prepare("DELETE FROM token_sessions WHERE token_id = ?").bind(token_id).run();
});

test("[TOKEN11] a session that cannot be reached is told by a repeat, or by any later request", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const clock = useClock();
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const socket = await openStream(session_id, mine);
  const mend = await refuseStatements(session_id, "INSERT INTO revoked");
  for (const _ of [1, 2]) {
    const refused = await ask("DELETE", `tokens/${token_id}`, asAdmin);
    const { code, detail } = await refused.json<{ code: string; detail: string }>();
    expect({ code, detail }).toEqual({ code: "unavailable", detail: expect.stringContaining("is revoked") });
  }
  expect(await codeOf(await ask("GET", "sessions", mine))).toBe("unauthenticated");
  expect(await notedSessions(token_id)).toEqual([session_id]);
  mend();
  clock.putForward(LOOKS_AGAIN_MS);
  await health();
  expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(await revoke(token_id)).toBe(204);
  vi.restoreAllMocks();
});

test("[TOKEN11] a token is revoked though D1 goes away before anybody is told", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const socket = await openStream(session_id, mine);
  let isAway = true;
  aroundStorage(({ name, go }) => (isAway && name === "D1 all" ? failure() : go()));
  expect(await revoke(token_id)).toBe(503);
  isAway = false;
  expect(await codeOf(await ask("GET", "sessions", mine))).toBe("unauthenticated");
  expect(await revoke(token_id)).toBe(204);
  expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  vi.restoreAllMocks();
});

test("[TOKEN12] what was revoked straight in D1 is told by the next request, and never by one soon after another", async () => {
  const clock = useClock();
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const socket = await openStream(session_id, mine);
  clock.putForward(LOOKS_AGAIN_MS);
  await health();
  await revokeInDatabase(token_id);
  await health();
  expect(socket.closed).toBeNull();
  clock.putForward(Math.max(REVOCATION_LOOK_MS, TOKEN_CACHE_MS));
  await health();
  expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(await codeOf(await askStream(session_id, mine))).toBe("unauthenticated");
});

test.for(["before", "after"])(
  "[TOKEN13] no socket opens while its token is revoked, just %s it is noted",
  async (when) => {
    const { token_id, session_id, ...mine } = await tokenWithSession();
    const door = createDoor();
    let isFirst = true;
    aroundStorage(async ({ name, bound, go }) => {
      const isNote = name === "D1 batch" && bound.includes(token_id) && bound.includes(session_id) && isFirst;
      if (!isNote) return go();
      isFirst = false;
      if (when === "before") await door.pass();
      const answer = await go();
      if (when === "after") await door.pass();
      return answer;
    });
    const opening = askStream(session_id, mine);
    await door.reached;
    expect(await revoke(token_id)).toBe(204);
    door.open();
    expect(await codeOf(await opening)).toBe("unauthenticated");
    expect(await notedSessions(token_id)).toEqual([]);
  },
);

test("[TOKEN14] a token's sockets are closed when it ends, and get nothing that happens then", async () => {
  const clock = useClock();
  const { session_id, ...mine } = await tokenWithSession({
    expires_at: new Date(Date.now() + HOUR_MS).toISOString(),
  });
  const [asleep, watching, admin] = [
    await openStream((await newSession(mine)).session_id, mine),
    await openStream(session_id, mine),
    await openStream(session_id, asAdmin),
  ];
  const { session_id: quiet } = (await asleep.control("connected")).data;
  await watching.control("connected");
  clock.putForward(HOUR_MS);
  // Before the alarm, by what happens.
  await submit(session_id, "Say 'not for you'", asAdmin);
  await admin.until(({ type }) => type === "ITERATION_END");
  expect(await watching.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(watching.events).toEqual([]);
  admin.close();
  // By the alarm, where nothing does.
  expect(await runDurableObjectAlarm(env.SESSIONS.getByName(quiet))).toBe(true);
  expect(await asleep.untilClosed()).toMatchObject(UNAUTHENTICATED);
});

test("[TOKEN15] a token's session is noted once, goes with the session, and is its own", async () => {
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const theirs = await tokenWithSession();
  for (const id of [theirs.session_id, "session_01ARZ3NDEKTSV4RRFFQ69G5FAV"]) {
    expect(await codeOf(await askStream(id, mine))).toBe("not_found");
  }
  expect(await notedSessions(token_id)).toEqual([]);
  const first = await openStream(session_id, mine);
  expect(await notedSessions(token_id)).toEqual([session_id]);
  const calls: string[] = [];
  aroundStorage(({ name, bound, go }) => {
    if (name === "D1 batch" && bound.includes(token_id)) calls.push(name);
    return go();
  });
  const again = await openStream(session_id, mine);
  expect(calls).toEqual([]);
  for (const socket of [first, again]) socket.close();
  await (await ask("DELETE", `sessions/${session_id}`, mine)).text();
  expect(await notedSessions(token_id)).toEqual([]);
});
