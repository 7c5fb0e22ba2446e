import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, onTestFinished, test } from "vitest";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { SECOND_SWEEP_MS } from "../../src/session/next-wake.ts";
import { STAGE_RETRY_MS, STAGE_SWEEP_MS, STAGE_TTL_MS } from "../../src/session/stages.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import { beforeBucket, createDoor } from "./storage-faults.ts";

const CONDITIONS = { ifMatch: null, ifNoneMatch: null };
const HOW = { path: "a.txt", conditions: CONDITIONS };

/** A session with an upload whose bytes are stored and whose commit is still to come. */
async function createUpload() {
  const scene = await createScene();
  const { stage_id, key } = unwrap(await scene.stub.stageFile(ADMIN, HOW));
  await env.BLOBS.put(key, "a");
  const file = { ...HOW, stage_id, size: 1, sha256: "sha", content_type: "" };
  const stub = () => env.SESSIONS.getByName(scene.session_id);
  return { ...scene, stub, stage_id, key, commit: () => stub().commitFile(ADMIN, file) };
}

const stagesOf = (sessionId: string) =>
  runInDurableObject(env.SESSIONS.getByName(sessionId), (_, { storage }) =>
    storage.sql
      .exec("SELECT stage_id FROM stages")
      .toArray()
      .map(({ stage_id }) => stage_id),
  );

/** Resolves when the bucket has deleted `key`. */
function untilDeleted(key: string): Promise<void> {
  const deleted = Promise.withResolvers<void>();
  const bucket: R2Bucket = Object.getPrototypeOf(env.BLOBS);
  const original = bucket.delete;
  bucket.delete = async function (this: R2Bucket, keys) {
    await original.call(this, keys);
    if (keys.includes(key)) deleted.resolve();
  };
  onTestFinished(() => {
    bucket.delete = original;
  });
  return deleted.promise;
}

test("[FILE9] an upload that ends while its stage is swept is refused, and its bytes go", async () => {
  const clock = useClock();
  const { stub, key, commit } = await createUpload();
  const listing = createDoor();
  beforeBucket("list", listing.pass);
  const deleted = untilDeleted(key);
  clock.putForward(STAGE_SWEEP_MS);
  const swept = runDurableObjectAlarm(stub());
  await listing.reached;
  expect(await commit()).toMatchObject({ problem: { code: "not_found" } });
  listing.open();
  await Promise.all([swept, deleted]);
});

test("[FILE9] an upload that ends while it is dropped is refused, and its bytes go", async () => {
  const { stub, stage_id, key, commit } = await createUpload();
  const listing = createDoor();
  beforeBucket("list", listing.pass);
  const dropped = stub().dropStage(ADMIN, stage_id);
  await listing.reached;
  expect(await commit()).toMatchObject({ problem: { code: "not_found" } });
  listing.open();
  await dropped;
  expect(await env.BLOBS.head(key)).toBeNull();
});

test("[FILE9] a file that was committed outlives the drop of its stage, and every sweep", async () => {
  const clock = useClock();
  const { stub, stage_id, key, commit } = await createUpload();
  clock.putForward(STAGE_TTL_MS - 60_000);
  expect(await commit()).toMatchObject({ ok: true });
  await stub().dropStage(ADMIN, stage_id);
  clock.putForward(STAGE_SWEEP_MS);
  await runDurableObjectAlarm(stub());
  expect(await env.BLOBS.head(key)).not.toBeNull();
});

test("[FILE9] a sweep that was killed is done again", async () => {
  const clock = useClock();
  const { session_id, stub, key, commit } = await createUpload();
  const listing = createDoor();
  let lists = 0;
  beforeBucket("list", () => (lists++ === 0 ? listing.pass() : Promise.resolve()));
  clock.putForward(STAGE_SWEEP_MS);
  await runDurableObjectAlarm(stub());
  await listing.reached;
  await killObject(session_id);
  expect(await commit()).toMatchObject({ problem: { code: "not_found" } });
  const deleted = untilDeleted(key);
  clock.putForward(STAGE_RETRY_MS);
  await runDurableObjectAlarm(stub());
  await deleted;
});

test("[FILE9] bytes that land after their upload was given up are removed", async () => {
  const clock = useClock();
  const { session_id, stub } = await createScene();
  let key = "";
  beforeBucket("put", async (name) => {
    if (key !== "") return;
    key = String(name);
    throw new Error("no answer in time");
  });
  const response = await ask("PUT", `sessions/${session_id}/files/a.txt`, { token: ADMIN_TOKEN, body: "a" });
  expect(response.ok).toBe(false);
  expect(await stagesOf(session_id)).toHaveLength(1);
  await env.BLOBS.put(key, "a");
  const deleted = untilDeleted(key);
  clock.putForward(STAGE_SWEEP_MS - STAGE_TTL_MS);
  await runDurableObjectAlarm(stub);
  await deleted;
});

test("[SESSION13] an upload that outlives its session leaves no bytes", async () => {
  const clock = useClock();
  const { session_id, stub } = await createScene();
  const putting = createDoor();
  let key = "";
  beforeBucket("put", (name) => {
    key = String(name);
    return putting.pass();
  });
  const response = ask("PUT", `sessions/${session_id}/files/a.txt`, { token: ADMIN_TOKEN, body: "a" });
  await putting.reached;
  unwrap(await stub.remove(ADMIN));
  clock.putForward(SECOND_SWEEP_MS);
  await runDurableObjectAlarm(stub);
  putting.open();
  expect((await response).status).toBe(404);
  expect(await env.BLOBS.head(key)).toBeNull();
});

test("[TURN20] the heartbeat of a turn does not wait for a sweep, and a sweep that fails is not begun at each", async () => {
  const clock = useClock();
  const { stub, submit } = await createUpload();
  await submit("Wait 60 seconds");
  const listing = createDoor();
  let lists = 0;
  beforeBucket("list", () => {
    lists += 1;
    return listing.pass();
  });
  clock.putForward(STAGE_SWEEP_MS);
  for (const _ of [1, 2, 3]) {
    await runDurableObjectAlarm(stub());
    await listing.reached;
    const alarm = await runInDurableObject(stub(), (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeLessThanOrEqual(Date.now() + HEARTBEAT_MS);
    expect(alarm).toBeGreaterThan(Date.now());
  }
  expect(lists).toBe(1);
  unwrap(await stub().cancel(ADMIN));
  listing.open();
});
