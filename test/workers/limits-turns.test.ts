import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createTurnLeases } from "../../src/catalog/turn-leases.ts";
import { HEARTBEAT_MS, TURN_LEASE_TTL_MS, TURNS_RETRY_AFTER_SECONDS } from "../../src/protocol/limits.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import type { SubmitTurnBody } from "../../src/protocol/rest.ts";
import { TurnLease } from "../../src/session/turn-lease.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import { beforeCatalogWrite, createDoor } from "./storage-faults.ts";

// The objects are started with the bindings that the test shares with them.
beforeEach(() => {
  Reflect.set(env, "GATEWAY_MAX_TURNS", "2");
});
afterEach(() => {
  Reflect.deleteProperty(env, "GATEWAY_MAX_TURNS");
  vi.restoreAllMocks();
});

const WAIT = "Wait 60 seconds";

/** A new user, and sessions of theirs. */
function createUser() {
  const user: Principal = { user_id: ulid(), scopes: ["read", "write", "approve"] };
  return {
    user,
    sessions: (count: number, settings: Parameters<typeof createScene>[0] = {}) =>
      Promise.all(Array.from({ length: count }, () => createScene(settings, user))),
    async leases(): Promise<string[]> {
      const { results } = await env.CATALOG.prepare("SELECT session_id FROM turn_leases WHERE user_id = ?")
        .bind(user.user_id)
        .all<{ session_id: string }>();
      return results.map(({ session_id }) => session_id);
    },
    /** The code of the refusal, or null. */
    async tries(scene: Scene, user_input: string, body: Partial<SubmitTurnBody> = {}, key: string | null = null) {
      const answer = await scene.stub.submit(user, { user_input, ...body }, key);
      return answer.ok ? null : answer.problem.code;
    },
    /** Stops what runs, and waits for everything that this causes. */
    async stop(scene: Scene): Promise<void> {
      unwrap(await scene.stub.cancel(user));
      await settled(scene);
    },
  };
}
type Scene = Awaited<ReturnType<typeof createScene>>;

/** Waits for everything that the object has under way. */
async function settled({ stub }: Scene): Promise<void> {
  await evictDurableObject(stub);
}

async function isWaiting(scene: Scene): Promise<void> {
  const socket = await scene.socket({ after: "0" });
  await socket.until(({ type, data }) => type === "STATUS" && "status" in data && data.status === "waiting");
  socket.close();
}

describe("the turns of a user at once", () => {
  test("[LIMIT4] [LIMIT7] are no more than the limit, however messages race, and an end makes room", async () => {
    const { sessions, tries, leases, stop } = createUser();
    const scenes = await sessions(6);
    const answers = await Promise.all(scenes.map((scene) => tries(scene, WAIT)));
    expect(answers.filter((code) => code === null).length).toBe(2);
    expect(answers.filter((code) => code === "rate_limited").length).toBe(4);
    const running = scenes.filter((_, i) => answers[i] === null);
    const refused = scenes.filter((_, i) => answers[i] !== null);
    expect((await leases()).sort()).toEqual(running.map(({ session_id }) => session_id).sort());
    for (const scene of refused) expect(await scene.log()).toEqual([]);
    const [ended, other] = running;
    if (ended === undefined || other === undefined) throw new Error("nothing runs");
    await stop(ended);
    const again = await Promise.all(refused.map((scene) => tries(scene, WAIT)));
    expect(again.filter((code) => code === null).length).toBe(1);
    await Promise.all(scenes.map(stop));
    expect(await leases()).toEqual([]);
  });

  test("[LIMIT4] are refused over REST with a time to come back, and over a socket with an error", async () => {
    const { sessions, tries, stop } = createUser();
    const [first, second, third] = await sessions(3);
    if (first === undefined || second === undefined || third === undefined) throw new Error("no sessions");
    expect(await Promise.all([tries(first, WAIT), tries(second, WAIT)])).toEqual([null, null]);
    const response = await ask("POST", `sessions/${third.session_id}/turns`, {
      token: ADMIN_TOKEN,
      json: { user_input: WAIT },
    });
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe(String(TURNS_RETRY_AFTER_SECONDS));
    expect(await response.json()).toMatchObject({
      code: "rate_limited",
      detail: expect.stringContaining("At most 2 "),
    });
    const socket = await third.socket();
    socket.send({ type: "execute", data: { user_input: WAIT }, id: 1 });
    expect((await socket.control("error", 1)).data.code).toBe("rate_limited");
    await stop(first);
    socket.send({ type: "execute", data: { user_input: "Say 'now'" }, id: 2 });
    expect((await socket.control("query_complete", 2)).data.response_text).toBe("now");
    const frames = socket.frames.map(({ type }) => type);
    expect(frames.indexOf("accepted")).toBeLessThan(frames.indexOf("SESSION_INFO"));
    socket.close();
    await stop(second);
  });

  test("[LIMIT5] count once a session, whatever else is said to it", async () => {
    const { sessions, tries, leases, stop } = createUser();
    const [first, second, third] = await sessions(3);
    if (first === undefined || second === undefined || third === undefined) throw new Error("no sessions");
    expect(await tries(first, WAIT, {}, "key")).toBe(null);
    expect(await tries(second, WAIT)).toBe(null);
    expect(await tries(first, "Say 'next'")).toBe(null);
    expect(await tries(first, "Say 'joins'", { on_busy: "steer" })).toBe(null);
    expect(await tries(first, WAIT, {}, "key")).toBe(null);
    expect(await tries(third, " ")).toBe("blank_input");
    expect(await tries(third, "x", { budget: { cost_usd: 1 } })).toBe("invalid_request");
    expect(await tries(third, "Say 'third'")).toBe("rate_limited");
    unwrap(await first.stub.cancel(ADMIN));
    const socket = await first.socket({ after: "0" });
    await socket.until(({ type, data }) => type === "TEXT" && "text" in data && data.text.includes("next"));
    socket.close();
    await settled(first);
    await stop(second);
    expect(await leases()).toEqual([]);
  });

  test("[LIMIT6] do not count while they wait for somebody, and go on over the limit", async () => {
    const { user, sessions, tries, leases, stop } = createUser();
    const [first, second, third, fourth] = await sessions(4);
    if (first === undefined || second === undefined || third === undefined || fourth === undefined) {
      throw new Error("no sessions");
    }
    expect(await tries(first, "Ask 'Which?', then Wait 60 seconds")).toBe(null);
    await isWaiting(first);
    await settled(first);
    expect(await leases()).toEqual([]);
    expect(await Promise.all([tries(second, WAIT), tries(third, WAIT)])).toEqual([null, null]);
    // To end it for another turn would start that one.
    expect(await tries(first, "Say 'x'", { on_busy: "interrupt" })).toBe("rate_limited");
    const [input] = unwrap(await first.stub.describe(user)).pending_inputs;
    if (input === undefined || !("input_id" in input)) throw new Error("nothing is asked");
    const { input_id } = input;
    unwrap(await first.stub.answer(user, { input_id, response: "This", via: "token" }));
    await vi.waitFor(async () => expect((await leases()).length).toBe(3));
    await stop(second);
    expect(await tries(fourth, WAIT)).toBe("rate_limited");
    await stop(first);
    expect(await tries(fourth, "Say 'fourth'")).toBe(null);
    await Promise.all([stop(third), stop(fourth)]);
  });

  test("[LIMIT6] [LIMIT7] go on after their host died, and what a dead host held is free in time", async () => {
    const clock = useClock();
    const { sessions, tries, leases, stop } = createUser();
    const [first, second, third] = await sessions(3);
    if (first === undefined || second === undefined || third === undefined) throw new Error("no sessions");
    expect(await Promise.all([tries(first, WAIT), tries(second, WAIT)])).toEqual([null, null]);
    await Promise.all([killObject(first.session_id), killObject(second.session_id)]);
    const [again, other] = [restarted(first), restarted(second)];
    expect(await tries(third, "Say 'third'")).toBe("rate_limited");
    clock.putForward(TURN_LEASE_TTL_MS);
    expect(await tries(third, WAIT)).toBe(null);
    // Both go on all the same when they are woken.
    await runDurableObjectAlarm(again.stub);
    await runDurableObjectAlarm(other.stub);
    await vi.waitFor(async () => expect((await leases()).length).toBe(3));
    await stop(third);
    expect(await tries(third, WAIT)).toBe("rate_limited");
    await Promise.all([stop(again), stop(other)]);
    expect(await leases()).toEqual([]);
  });

  test("[LIMIT7] are counted for as long as they run", async () => {
    const clock = useClock();
    const { sessions, tries, stop } = createUser();
    const scenes = await sessions(3);
    const [first, second, third] = scenes;
    if (first === undefined || second === undefined || third === undefined) throw new Error("no sessions");
    expect(await Promise.all([tries(first, WAIT), tries(second, WAIT)])).toEqual([null, null]);
    for (let i = 0; i < 5; i++) {
      clock.putForward(TURN_LEASE_TTL_MS / 4);
      await runDurableObjectAlarm(first.stub);
      await runDurableObjectAlarm(second.stub);
      // What the heartbeat has asked for goes before this.
      await env.CATALOG.prepare("SELECT 1").run();
    }
    expect(await tries(third, "Say 'x'")).toBe("rate_limited");
    await Promise.all([stop(first), stop(second)]);
  });

  test("[LIMIT4] [LIMIT7] are counted though what was said of the one before comes late", async () => {
    const { user, leases } = createUser();
    const holder = { running: false, settings: { session_id: ulid(), user_id: user.user_id } };
    const register = createTurnLeases(env.CATALOG, () => Date.now());
    const late = createDoor();
    const done = Promise.withResolvers<void>();
    let now = 0;
    const lease = new TurnLease({
      max: 1,
      register: {
        ...register,
        renew: (renewed) => late.pass().then(() => register.renew(renewed)),
        giveBack: (given) => register.giveBack(given).finally(done.resolve),
      },
      session: () => holder,
      now: () => now,
      wakeAt: () => {},
    });
    const start = async () => {
      await lease.take();
      holder.running = true;
      lease.settle();
    };
    await start();
    now += HEARTBEAT_MS;
    lease.follow();
    holder.running = false;
    lease.follow();
    await start();
    // The first turn's place is renewed and given back only now.
    late.open();
    await done.promise;
    expect(await leases()).toEqual([holder.settings.session_id]);
    holder.running = false;
    lease.follow();
    await vi.waitFor(async () => expect(await leases()).toEqual([]));
  });

  test("[LIMIT7] make room a little later where D1 could not be reached at their end", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const clock = useClock();
    const { user, sessions, tries, leases } = createUser();
    const [scene] = await sessions(1);
    if (scene === undefined) throw new Error("no session");
    expect(await tries(scene, WAIT)).toBe(null);
    let broken = true;
    let refused = 0;
    beforeCatalogWrite(async () => {
      if (!broken) return;
      refused++;
      throw new Error("broken by a test");
    });
    unwrap(await scene.stub.cancel(user));
    // The row in the index, and the place.
    await vi.waitFor(() => expect(refused).toBe(2));
    expect(await leases()).toEqual([scene.session_id]);
    broken = false;
    clock.putForward(1_000);
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(scene.stub);
      expect(await leases()).toEqual([]);
    });
  });

  test("[LIMIT4] are not started while D1 cannot be reached", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { user, sessions, tries, stop } = createUser();
    const [scene] = await sessions(1);
    if (scene === undefined) throw new Error("no session");
    let broken = true;
    beforeCatalogWrite(async () => {
      if (broken) throw new Error("broken by a test");
    });
    expect(await tries(scene, WAIT, {}, "key")).toBe("unavailable");
    expect(await scene.log()).toEqual([]);
    expect(unwrap(await scene.stub.describe(user)).status).toBe("idle");
    broken = false;
    expect(await tries(scene, WAIT, {}, "key")).toBe(null);
    await stop(scene);
  });

  test("[LIMIT7] of a session that is deleted make room", async () => {
    const { user, sessions, tries, leases } = createUser();
    const [scene] = await sessions(1);
    if (scene === undefined) throw new Error("no session");
    expect(await tries(scene, WAIT)).toBe(null);
    expect((await leases()).length).toBe(1);
    unwrap(await scene.stub.remove(user));
    await settled(scene);
    expect(await leases()).toEqual([]);
  });

  test("[LIMIT9] frames are obeyed in their order while a place is asked for", async () => {
    const { sessions, stop } = createUser();
    const [scene] = await sessions(1);
    if (scene === undefined) throw new Error("no session");
    const socket = await scene.socket();
    const door = createDoor();
    let held = false;
    beforeCatalogWrite(() => {
      if (held) return Promise.resolve();
      held = true;
      return door.pass();
    });
    socket.send({ type: "execute", data: { user_input: WAIT }, id: 1 });
    socket.send({ type: "execute", data: { user_input: "Say 'next'" }, id: 2 });
    socket.send({ type: "cancel", id: 3 });
    socket.send({ type: "ping", id: 4 });
    await socket.control("pong", 4);
    door.open();
    expect((await socket.control("query_complete", 1)).data.status).toBe("cancelled");
    expect((await socket.control("query_complete", 2)).data.status).toBe("complete");
    socket.close();
    await stop(scene);
  });

  test("[LIMIT3] without a limit are never told to D1", async () => {
    let writes = 0;
    beforeCatalogWrite(async () => {
      writes++;
    });
    const writesOfATurn = async () => {
      const [scene] = await createUser().sessions(1);
      if (scene === undefined) throw new Error("no session");
      await settled(scene);
      writes = 0;
      await scene.run("Say 'one'");
      await settled(scene);
      return writes;
    };
    const limited = await writesOfATurn();
    Reflect.deleteProperty(env, "GATEWAY_MAX_TURNS");
    expect(await writesOfATurn()).toBe(limited - 2);
  });
});

/** A session whose object was killed: what was connected with that one is broken. */
function restarted(scene: Scene): Scene {
  return { ...scene, stub: env.SESSIONS.getByName(scene.session_id) };
}
