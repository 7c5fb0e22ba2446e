import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { HEARTBEAT_MS, IDEMPOTENCY_TTL_MS } from "../../src/protocol/limits.ts";
import { newId } from "../../src/session/new-id.ts";
import { SECOND_SWEEP_MS } from "../../src/session/next-wake.ts";
import { ENTRY_TTL_MS } from "../../src/session/space-entry.ts";
import { parsePage } from "../support/event-page.ts";
import { isEmpty, killAtStatement, killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import { aroundStorage, beforeCatalogWrite, createDoor, refuseStatements } from "./storage-faults.ts";

const EVENTS = "INSERT INTO events";
const NOT_FOUND = { problem: { code: "not_found" } };

const spacesOf = async (sessionId: string) =>
  (await env.CATALOG.prepare("SELECT space_id FROM spaces WHERE session_id = ?").bind(sessionId).all()).results;

const logOf = async (sessionId: string) =>
  parsePage(unwrap(await env.SESSIONS.getByName(sessionId).events(ADMIN, { after: "0", limit: 1_000, types: null })))
    .events;

test("[SESSION13] a session that is deleted while it is created does not exist", async () => {
  const session_id = newId("session");
  const indexing = createDoor();
  let writes = 0;
  beforeCatalogWrite(() => (writes++ === 0 ? indexing.pass() : Promise.resolve()));
  const created = createScene({ session_id });
  const refused = expect(created).rejects.toThrow("not_found");
  await indexing.reached;
  unwrap(await env.SESSIONS.getByName(session_id).remove(ADMIN));
  indexing.open();
  await refused;
});

test("[IDEM8] a session that was interrupted on its way into another's space is finished by its repeat", async () => {
  const source = await createScene();
  await source.run("Write 'a' to a.txt");
  const session_id = newId("session");
  const start = () => createScene({ session_id, workspace_from: source.session_id });
  await killAtStatement(source.session_id, /FROM files/);
  const both = await Promise.allSettled([start(), start()]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await env.SESSIONS.getByName(session_id).describe(ADMIN)).toMatchObject(NOT_FOUND);
  const { stub } = await start();
  expect(await spacesOf(session_id)).toHaveLength(1);
  expect(unwrap(await stub.file(ADMIN, "a.txt")).info.size).toBe(1);
});

test("[SESSION19] a session that was interrupted on its way into a space leaves it when nobody can finish it any more", async () => {
  const clock = useClock();
  const source = await createScene();
  await source.run("Write 'a' to a.txt");
  const { key } = unwrap(await source.stub.file(ADMIN, "a.txt"));
  const session_id = newId("session");
  await killAtStatement(source.session_id, /FROM files/);
  await expect(createScene({ session_id, workspace_from: source.session_id })).rejects.toThrow("unavailable");
  unwrap(await env.SESSIONS.getByName(source.session_id).remove(ADMIN));
  await killObject(session_id);
  clock.putForward(IDEMPOTENCY_TTL_MS);
  await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  expect(await spacesOf(session_id)).toHaveLength(1);
  expect(await env.BLOBS.head(key)).not.toBeNull();
  clock.putForward(ENTRY_TTL_MS - IDEMPOTENCY_TTL_MS);
  await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  expect(await spacesOf(session_id)).toEqual([]);
  expect(await env.BLOBS.head(key)).toBeNull();
  expect(await isEmpty(session_id)).toBe(true);
});

test("[SESSION8] a session whose source is deleted while it enters is refused, and is in no space", async () => {
  const source = await createScene();
  await source.run("Write 'a' to a.txt");
  const { key } = unwrap(await source.stub.file(ADMIN, "a.txt"));
  const session_id = newId("session");
  let batches = 0;
  aroundStorage(async ({ name, go }) => {
    const result = await go();
    // It has joined, and does not know it yet.
    if (name === "D1 batch" && batches++ === 0) {
      unwrap(await env.SESSIONS.getByName(source.session_id).remove(ADMIN));
      expect(await env.BLOBS.head(key)).not.toBeNull();
    }
    return result;
  });
  await expect(createScene({ session_id, workspace_from: source.session_id })).rejects.toThrow("path_refused");
  expect(await spacesOf(session_id)).toEqual([]);
  expect(await env.BLOBS.head(key)).toBeNull();
});

test("[TURN20] a session whose storage takes no events can be read when its object starts, and goes on later", async () => {
  const { session_id, submit } = await createScene();
  await submit("Wait 60 seconds");
  const before = await logOf(session_id);
  const mend = await refuseStatements(session_id, EVENTS);
  await killObject(session_id);
  expect(await logOf(session_id)).toEqual(before);
  const alarm = await runInDurableObject(env.SESSIONS.getByName(session_id), (_, { storage }) => storage.getAlarm());
  expect(alarm).toBeLessThanOrEqual(Date.now() + HEARTBEAT_MS);
  mend();
  await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  expect((await logOf(session_id)).map(({ data }) => data)).toContainEqual(
    expect.objectContaining({ status: "resumed" }),
  );
  unwrap(await env.SESSIONS.getByName(session_id).cancel(ADMIN));
});

test("[SESSION13] a session whose storage takes no events can be deleted, also when its object starts", async () => {
  const clock = useClock();
  const { session_id, submit, socket } = await createScene();
  await submit("Wait 60 seconds");
  const client = await socket();
  await refuseStatements(session_id, EVENTS);
  await killObject(session_id);
  await client.untilClosed();
  const stub = env.SESSIONS.getByName(session_id);
  unwrap(await stub.remove(ADMIN));
  expect(await stub.describe(ADMIN)).toMatchObject(NOT_FOUND);
  await killObject(session_id);
  expect(await env.SESSIONS.getByName(session_id).describe(ADMIN)).toMatchObject(NOT_FOUND);
  clock.putForward(SECOND_SWEEP_MS);
  await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  expect(await isEmpty(session_id)).toBe(true);
});
