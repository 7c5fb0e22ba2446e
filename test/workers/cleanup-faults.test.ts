import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { newId } from "../../src/session/new-id.ts";
import { SECOND_SWEEP_MS } from "../../src/session/next-wake.ts";
import { spacePrefix } from "../../src/workspace/space-blobs.ts";
import { ADMIN_TOKEN, ask, newSession } from "./http-scene.ts";
import { isEmpty, killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import { aroundStorage, createKiller, FAULTS, failure, useFastTimers } from "./storage-faults.ts";

const ALL_SPEED = 300;
const asAdmin = { token: ADMIN_TOKEN };

/** What D1 and R2 hold of a session. */
async function tracesOf(sessionId: string, spaceId: string) {
  const spaces = await env.CATALOG.prepare("SELECT 1 FROM spaces WHERE session_id = ?").bind(sessionId).raw();
  const index = await env.CATALOG.prepare("SELECT summary FROM sessions WHERE session_id = ?").bind(sessionId).raw();
  const { objects } = await env.BLOBS.list({ prefix: spacePrefix(spaceId) });
  return { spaces: spaces.length, index, blobs: objects.length };
}

const NOT_FOUND = { problem: { code: "not_found" } };
const GONE = { spaces: 0, index: [[null]], blobs: 0 };

/** Lets the alarm of a session go off, later and later, until nothing of its object is left. */
async function untilEmpty(sessionId: string, clock: ReturnType<typeof useClock>): Promise<void> {
  for (let i = 0; i < 8; i++) {
    // A kill in the alarm is one more of its tries.
    await runDurableObjectAlarm(env.SESSIONS.getByName(sessionId)).catch(() => {});
    if (await isEmpty(sessionId)) return;
    clock.putForward(SECOND_SWEEP_MS);
  }
  throw new Error("the object is never empty");
}

test.for(Object.keys(FAULTS))(
  "[SESSION13] [SESSION16] a deletion of which any one call of the storage %s ends with nothing left, and its key names it for ever",
  { timeout: 30_000 },
  async (name, { expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const clock = useClock();
    useFastTimers(ALL_SPEED);
    let calls = 0;
    let faultAt = Number.POSITIVE_INFINITY;
    let sessionId = "";
    const killer = createKiller();
    aroundStorage((call) => {
      const fault = calls++ === faultAt ? FAULTS[name] : undefined;
      return fault === undefined ? call.go() : fault(call, () => killer.over(sessionId));
    });
    let n = 0;
    for (let reached = true; reached; n++) {
      faultAt = Number.POSITIVE_INFINITY;
      const headers = { "idempotency-key": newId("stage") };
      const create = () => ask("POST", "sessions", { ...asAdmin, json: {}, headers });
      const session_id = (await newSession({ ...asAdmin, headers })).session_id;
      const put = await ask("PUT", `sessions/${session_id}/files/a.txt`, { ...asAdmin, body: "a" });
      expect((await put.text()) && put.status).toBe(201);
      const stub = () => env.SESSIONS.getByName(session_id);
      const { space_id } = unwrap(await stub().space(ADMIN));
      unwrap(await stub().submit(ADMIN, { user_input: "Wait 60 seconds" }, null));
      sessionId = session_id;
      calls = 0;
      faultAt = n;
      // A client that got no answer asks again.
      for (let answered = false; !answered; ) {
        const removed = await killer.during(stub().remove(ADMIN)).catch(() => null);
        answered = removed !== null;
      }
      expect(await stub().describe(ADMIN)).toMatchObject(NOT_FOUND);
      await killer.during(untilEmpty(session_id, clock));
      reached = calls > n;
      faultAt = Number.POSITIVE_INFINITY;
      expect(await tracesOf(session_id, space_id), `call ${n}`).toEqual(GONE);
      for (const _ of [1, 2]) expect((await create()).status).toBe(404);
      expect(await isEmpty(session_id)).toBe(true);
    }
    // Twice the tombstone, the space and its blobs.
    expect(n).toBeGreaterThan(6);
  },
);

test.for(["D1", "R2"])(
  "[SESSION13] [SESSION16] a session can be deleted while all of %s fails, and its traces go when it works again",
  async (store, { expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const clock = useClock();
    useFastTimers(ALL_SPEED);
    const scene = await createScene();
    await scene.run("Write 'a' to a.txt");
    const stub = () => env.SESSIONS.getByName(scene.session_id);
    const { space_id } = unwrap(await stub().space(ADMIN));
    let broken = true;
    aroundStorage(({ name, go }) => (broken && name.startsWith(store) ? failure() : go()));
    unwrap(await stub().remove(ADMIN));
    expect(await stub().describe(ADMIN)).toMatchObject(NOT_FOUND);
    for (let i = 0; i < 3; i++) {
      clock.putForward(SECOND_SWEEP_MS);
      await runDurableObjectAlarm(stub());
      await killObject(scene.session_id);
    }
    expect(await isEmpty(scene.session_id)).toBe(false);
    broken = false;
    // Whatever still works is not waited for.
    const { index, spaces } = await tracesOf(scene.session_id, space_id);
    if (store === "R2") expect({ index, spaces }).toEqual({ index: GONE.index, spaces: 0 });
    await untilEmpty(scene.session_id, clock);
    expect(await tracesOf(scene.session_id, space_id)).toEqual(GONE);
  },
);

test("[SESSION13] [SESSION16] bytes of a tool call that land after everything of its session is gone go too", async () => {
  const errors = vi.spyOn(console, "error").mockImplementation(() => {});
  const givenUp = () => errors.mock.calls.filter(([line]) => line.where === "file storage").length;
  const clock = useClock();
  const scene = await createScene();
  const { space_id } = unwrap(await scene.stub.space(ADMIN));
  // What a test's own door lets on would go on in the test's place, and not in the object's.
  const { setTimeout } = globalThis;
  const now = { putting: false, isOpen: false, landed: false };
  aroundStorage(async ({ name, go }) => {
    if (name !== "R2 put") return go();
    now.putting = true;
    while (!now.isOpen) await new Promise((resolve) => setTimeout(resolve, 5));
    const result = await go();
    now.landed = true;
    return result;
  });
  useFastTimers(ALL_SPEED);
  await scene.submit("Write 'a' to a.txt");
  await vi.waitFor(() => expect(now.putting).toBe(true));
  unwrap(await scene.stub.remove(ADMIN));
  await untilEmpty(scene.session_id, clock);
  await vi.waitFor(() => expect(givenUp()).toBe(3));
  now.isOpen = true;
  await vi.waitFor(() => expect(now.landed).toBe(true));
  await vi.waitFor(async () => expect(await tracesOf(scene.session_id, space_id)).toEqual(GONE));
});

test.for([
  ["while it says something", "Count to 2000 at 5 ms", null],
  ["while a tool runs", "Wait 60 seconds", null],
  ["with turns that wait", "Wait 60 seconds", "Say 'next'"],
] as const)(
  "[SESSION13] [SESSION14] [SESSION16] a session that is deleted %s, is cancelled and deleted twice at once, leaves nothing",
  async ([, first, next], { expect }) => {
    const clock = useClock();
    const scene = await createScene();
    const { space_id } = unwrap(await scene.stub.space(ADMIN));
    const client = await scene.socket();
    await scene.submit(first);
    if (next !== null) await scene.submit(next);
    await client.until(({ type }) => type === "TEXT" || type === "TOOL_CALL");
    const { stub } = scene;
    const [cancelled, ...removed] = await Promise.all([stub.cancel(ADMIN), stub.remove(ADMIN), stub.remove(ADMIN)]);
    expect(cancelled).toMatchObject({ ok: true });
    expect(removed).toMatchObject([{ ok: true }, NOT_FOUND]);
    expect(await client.untilClosed()).toMatchObject({ code: 4010 });
    for (const asked of [stub.describe(ADMIN), stub.submit(ADMIN, { user_input: "x" }, null), stub.cancel(ADMIN)]) {
      expect(await asked).toMatchObject(NOT_FOUND);
    }
    await untilEmpty(scene.session_id, clock);
    expect(await tracesOf(scene.session_id, space_id)).toEqual(GONE);
  },
);
