import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { STORAGE_TIMEOUT_MS } from "../../src/protocol/limits.ts";
import { session, sessionPage } from "../../src/protocol/rest.ts";
import { ADMIN_TOKEN, type Asked, ask, codeOf, newSession, read, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import {
  aroundStorage,
  createKiller,
  FAULTS,
  failure,
  noAnswer,
  type StorageCall,
  useFastTimers,
} from "./storage-faults.ts";

const FAST = 300;
const asAdmin = { token: ADMIN_TOKEN };

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

/** From the returned function's call on, each call of D1 is what it is given; without one it is what it was. */
function useCatalogFaults() {
  let fault: ((call: StorageCall) => Promise<unknown>) | null = null;
  aroundStorage((call) => (fault === null || !call.name.startsWith("D1") ? call.go() : fault(call)));
  return (next: typeof fault) => {
    fault = next;
  };
}

/** Tells the calls that speak of `first`, or of a session that one of these spoke of; `other` is none of them. */
function createMention(first: string, other: string): (call: StorageCall) => boolean {
  const mentioned = new Set([first]);
  return ({ bound }) => {
    if (![...mentioned].some((one) => bound.includes(one))) return false;
    for (const [id] of bound.matchAll(/session_[0-9A-Z]{26}/g)) if (id !== other) mentioned.add(id);
    return true;
  };
}

/** A session's row in the index, as it stands. */
async function rowOf(sessionId: string): Promise<unknown> {
  const query = "SELECT summary FROM sessions WHERE session_id = ?";
  const [row] = await env.CATALOG.prepare(query).bind(sessionId).raw<[string | null]>();
  return row?.[0] ? JSON.parse(row[0]) : null;
}

const alarmOf = (sessionId: string) =>
  runInDurableObject(env.SESSIONS.getByName(sessionId), (_, { storage }) => storage.getAlarm());

/** Lets the alarm go off, later and later, until none is set. */
async function untilQuiet(sessionId: string, clock: ReturnType<typeof useClock>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    try {
      await runDurableObjectAlarm(env.SESSIONS.getByName(sessionId));
      clock.putForward(60_000);
      if ((await alarmOf(sessionId)) === null) return;
    } catch {
      // It was killed meanwhile.
    }
    // For what the alarm has begun.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("the session is never quiet");
}

test.for(Object.keys(FAULTS))(
  "[SESSION17] the list catches up by itself after any one write of a turn's that %s",
  async (name, { expect }) => {
    const clock = useClock();
    useFastTimers(FAST);
    const setFault = useCatalogFaults();
    const killer = createKiller();
    for (let n = 0; n < 3; n++) {
      setFault(null);
      const { session_id, submit } = await createScene();
      let calls = 0;
      setFault((call) => {
        const fault = call.bound.includes(session_id) && calls++ === n ? FAULTS[name] : undefined;
        return fault === undefined ? call.go() : fault(call, () => killer.over(session_id));
      });
      await submit("Say 'x'");
      await killer.during(untilQuiet(session_id, clock));
      setFault(null);
      const row = await rowOf(session_id);
      expect(row, `write ${n}`).toEqual(unwrap(await env.SESSIONS.getByName(session_id).describe(ADMIN)));
      expect(row).toMatchObject({ status: "idle", title: "Say 'x'", active_turn: null });
    }
  },
);

test("[SESSION17] however long the list cannot be reached, and however often the object dies, it catches up in the end", async () => {
  const clock = useClock();
  const setFault = useCatalogFaults();
  const { session_id } = await createScene();
  setFault(failure);
  for (let i = 0; i < 4; i++) {
    const { run } = await createScene({ session_id });
    await run(`Say '${i}'`);
    await killObject(session_id);
    clock.putForward(60_000);
    await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
    expect(await alarmOf(session_id)).not.toBeNull();
  }
  setFault(null);
  expect(await rowOf(session_id)).toMatchObject({ last_seq: 0 });
  await untilQuiet(session_id, clock);
  expect(await rowOf(session_id)).toEqual(unwrap(await env.SESSIONS.getByName(session_id).describe(ADMIN)));
});

test("[SESSION17] a write that does not answer is not forgotten by the alarm that goes off meanwhile", async () => {
  const clock = useClock();
  const setFault = useCatalogFaults();
  const { session_id, run } = await createScene();
  setFault(noAnswer);
  await run("Say 'x'");
  clock.putForward(30_000);
  await runDurableObjectAlarm(env.SESSIONS.getByName(session_id));
  await killObject(session_id);
  setFault(null);
  expect(await alarmOf(session_id)).not.toBeNull();
  await untilQuiet(session_id, clock);
  expect(await rowOf(session_id)).toMatchObject({ status: "idle" });
});

test.for([
  ["fails", failure],
  ["does not answer", noAnswer],
] as const)(
  "[SESSION17] turns, streams and cancels go on at once while D1 %s",
  { timeout: 60_000 },
  async ([, fault], { expect }) => {
    const setFault = useCatalogFaults();
    const { session_id } = await newSession(asAdmin);
    setFault(fault);
    let givenUp = false;
    // The least that anything takes which waits for D1.
    const deadline = setTimeout(() => {
      givenUp = true;
    }, STORAGE_TIMEOUT_MS);
    onTestFinished(() => clearTimeout(deadline));
    const stream = await ask("POST", `sessions/${session_id}/turns`, {
      ...asAdmin,
      json: { user_input: "Say 'streamed'" },
      headers: { accept: "text/event-stream" },
    });
    const events = await new SseClient(stream).toEnd();
    expect(events.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete" } });
    const { turn_id } = await submit(session_id, "Wait 60 seconds", asAdmin);
    expect(await (await ask("POST", `sessions/${session_id}/cancel`, asAdmin)).json()).toEqual({ turn_id });
    expect(
      (await read(await ask("PATCH", `sessions/${session_id}`, { ...asAdmin, json: { title: "t" } }))).status,
    ).toBe(200);
    const put = await ask("PUT", `sessions/${session_id}/files/a.txt`, { ...asAdmin, body: "a" });
    expect((await read(put)).status).toBe(201);
    expect(givenUp).toBe(false);
  },
);

test.for(["fails", "does not answer", "is done, and its answer is lost", "is done, and killed over"])(
  "[SESSION18] [SESSION12] [IDEM8] a creation of which any one call of D1 %s is 503, or done; its repeat gets the same session",
  { timeout: 30_000 },
  async (name, { expect }) => {
    useFastTimers(FAST);
    const setFault = useCatalogFaults();
    const source = await newSession(asAdmin);
    await read(await ask("PUT", `sessions/${source.session_id}/files/a.txt`, { ...asAdmin, body: "a" }));
    const { workspace_dir } = source;
    const killer = createKiller();
    for (const body of [{}, { workspace_dir }]) {
      let n = 0;
      for (let reached = true; reached; n++) {
        const title = ulid();
        const asked: Asked = { ...asAdmin, json: { ...body, title }, headers: { "idempotency-key": title } };
        let calls = 0;
        // The list also follows other sessions meanwhile, the source among them: their writes are not counted.
        const isOfIt = createMention(title, source.session_id);
        const named = async () => {
          const query = "SELECT session_id FROM creations WHERE key = ?";
          const [row] = await env.CATALOG.prepare(query).bind(title).raw<[string]>();
          return row?.[0] ?? null;
        };
        setFault((call) => {
          if (!isOfIt(call) || calls++ !== n) return call.go();
          const kill = async () => {
            const sessionId = await named();
            return sessionId === null ? noAnswer() : killer.over(sessionId);
          };
          return FAULTS[name]?.(call, kill) ?? call.go();
        });
        const first = await killer.during(ask("POST", "sessions", asked).then(read));
        reached = calls > n;
        setFault(null);
        // What the platform says of an object that died is not for the gateway to guess at.
        if (reached) expect(name.includes("killed") ? [500, 503] : [503], first.body).toContain(first.status);
        const claimed = await named();
        const second = session.parse(await (await ask("POST", "sessions", asked)).json());
        if (claimed !== null) expect(second.session_id).toBe(claimed);
        const page = sessionPage.parse(await (await ask("GET", `sessions?q=${title}`, asAdmin)).json());
        expect(page.sessions.map(({ session_id }) => session_id)).toEqual([second.session_id]);
        const spaces = "SELECT space_id FROM spaces WHERE session_id = ?";
        expect(await env.CATALOG.prepare(spaces).bind(second.session_id).raw()).toHaveLength(1);
        const file = await read(await ask("GET", `sessions/${second.session_id}/files/a.txt`, asAdmin));
        expect(file.status).toBe("workspace_dir" in body ? 200 : 404);
      }
      expect(n).toBe(4);
    }
  },
);

test("[SESSION18] [IDEM4] a creation that is refused is refused in the same words when its key cannot be freed", async () => {
  const setFault = useCatalogFaults();
  const key = ulid();
  const asked = {
    ...asAdmin,
    json: { workspace_dir: `sessions/session_${ulid()}` },
    headers: { "idempotency-key": key },
  };
  setFault(({ name, go }) => (name === "D1 run" ? failure() : go()));
  expect(await codeOf(await ask("POST", "sessions", asked))).toBe("path_refused");
  setFault(null);
  expect(await codeOf(await ask("POST", "sessions", asked))).toBe("path_refused");
});

test("[SESSION13] [IDEM1] the key of a session that is being deleted names it, also before D1 knows of the deletion", async () => {
  const clock = useClock();
  const setFault = useCatalogFaults();
  const asked = { ...asAdmin, json: {}, headers: { "idempotency-key": ulid() } };
  const { session_id } = await newSession(asked);
  setFault(({ name, go }) => (name === "D1 batch" ? failure() : go()));
  expect((await ask("DELETE", `sessions/${session_id}`, asAdmin)).status).toBe(204);
  setFault(null);
  expect(await rowOf(session_id)).not.toBeNull();
  for (const _ of [1, 2]) expect(await codeOf(await ask("POST", "sessions", asked))).toBe("not_found");
  await untilQuiet(session_id, clock);
  expect(await codeOf(await ask("POST", "sessions", asked))).toBe("not_found");
});

test("[SESSION18] a list that cannot be had is 503, and is there again afterwards", async () => {
  useFastTimers(FAST);
  const setFault = useCatalogFaults();
  for (const fault of [failure, noAnswer]) {
    setFault(fault);
    const response = await ask("GET", "sessions", asAdmin);
    expect([response.status, await codeOf(response)]).toEqual([503, "unavailable"]);
    setFault(null);
    expect((await read(await ask("GET", "sessions", asAdmin))).status).toBe(200);
  }
});
