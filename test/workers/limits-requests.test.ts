import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { RATE_LIMIT_PERIOD_SECONDS } from "../../src/protocol/limits.ts";
import type { RateLimiter } from "../../src/session/rate-limit.ts";
import { ADMIN_TOKEN, ask, codeOf } from "./http-scene.ts";
import { ADMIN, createScene, openSocket, unwrap } from "./session-scene.ts";
import { noAnswer, useFastTimers } from "./storage-faults.ts";

/** A limiter at the binding: each key has so many requests. */
function createLimiter(limit: number) {
  const counts = new Map<string, number>();
  return {
    counts,
    async limit({ key }: { key: string }) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return { success: (counts.get(key) ?? 0) <= limit };
    },
  };
}

/** For the object of this session alone. */
async function bindLimiter(sessionId: string, limiter: RateLimiter): Promise<void> {
  await runInDurableObject(env.SESSIONS.getByName(sessionId), (instance) => {
    const bindings: object = Reflect.get(instance, "env");
    Reflect.set(instance, "env", { ...bindings, RATE_LIMITER: limiter });
  });
}

describe("requests", () => {
  test("[LIMIT8] of a token are counted, and refused over the limit until the period is over", async () => {
    const get = (token: string) => ask("GET", "sessions", { token, env: { RATE_LIMITER: env.SMALL_RATE_LIMITER } });
    expect((await read(get("ann"))).status).toBe(200);
    expect((await read(get("ann"))).status).toBe(200);
    const refused = await read(get("ann"));
    expect(refused).toMatchObject({ status: 429, retryAfter: String(RATE_LIMIT_PERIOD_SECONDS) });
    expect(JSON.parse(refused.body)).toMatchObject({ code: "rate_limited" });
    expect((await read(get("bob"))).status).toBe(200);
  });

  test("[LIMIT8] [AUTH5] are counted by what does not show the token", async () => {
    const limiter = createLimiter(100);
    await read(ask("GET", "sessions", { token: ADMIN_TOKEN, env: { RATE_LIMITER: limiter } }));
    expect([...limiter.counts.keys()]).toEqual(["gateway"]);
  });

  test("[LIMIT8] without a valid token, and of GET /health, are not counted", async () => {
    const limiter = createLimiter(0);
    expect(await codeOf(await ask("GET", "sessions", { token: "no", env: { RATE_LIMITER: limiter } }))).toBe(
      "unauthenticated",
    );
    expect((await read(ask("GET", "health", { token: null, env: { RATE_LIMITER: limiter } }))).status).toBe(200);
    expect(limiter.counts.size).toBe(0);
  });

  test.for<[what: string, limiter: object]>([
    ["fails", { limit: () => Promise.reject(new Error("the limiter is broken by a test")) }],
    ["throws at once", { limit: failsAtOnce }],
    ["is none", {}],
    ["says nothing", { limit: async () => undefined }],
    ["does not answer", { limit: noAnswer }],
  ])("[LIMIT8] are answered while the limiter %s", async ([, broken]) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    useFastTimers(100);
    const limiter = createLimiter(1);
    Reflect.set(limiter, "limit", Reflect.get(broken, "limit"));
    expect((await read(ask("GET", "sessions", { env: { RATE_LIMITER: limiter } }))).status).toBe(200);
    vi.restoreAllMocks();
  });

  test("[LIMIT8] are counted by the platform's limiter as it is bound", async () => {
    expect(await env.RATE_LIMITER?.limit({ key: "test" })).toMatchObject({ success: true });
  });
});

describe("frames", () => {
  test("[LIMIT9] that do something count with their token's requests; others, and the socket, go on", async () => {
    const scene = await createScene();
    const limiter = createLimiter(2);
    await bindLimiter(scene.session_id, limiter);
    const socket = await openSocket(scene.stub, { ...ADMIN, token_id: "one" }, {});
    socket.send({ type: "execute", data: { user_input: "Say 'one'" }, id: 1 });
    await socket.control("query_complete", 1);
    socket.send({ type: "cancel", id: 2 });
    socket.send({ type: "ack", data: { cursor: "1" }, id: 3 });
    socket.send({ type: "execute", data: { user_input: "Say 'two'" }, id: 4 });
    expect((await socket.control("error", 4)).data).toMatchObject({ code: "rate_limited" });
    socket.send({ type: "ping", id: 5 });
    await socket.control("pong", 5);
    expect([...limiter.counts]).toEqual([["one", 3]]);
    expect((await scene.log()).filter(({ type }) => type === "USER_INPUT").length).toBe(1);
    socket.close();
  });

  test("[LIMIT9] and what comes after them, are obeyed though the limiter does not answer", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    useFastTimers(100);
    const scene = await createScene();
    await bindLimiter(scene.session_id, { limit: noAnswer });
    const socket = await openSocket(scene.stub, { ...ADMIN, token_id: "one" }, {});
    socket.send({ type: "execute", data: { user_input: "Say 'one'" }, id: 1 });
    unwrap(await scene.stub.submit(ADMIN, { user_input: "Say 'two'" }, null));
    expect((await socket.control("query_complete", 1)).data.response_text).toBe("one");
    socket.close();
    vi.restoreAllMocks();
  });

  test("[LIMIT9] are obeyed in their order, though each is counted first", async () => {
    const scene = await createScene();
    const late = Promise.withResolvers<void>();
    let asked = 0;
    const limiter = {
      async limit() {
        // The first is counted last.
        if (asked++ === 0) await late.promise;
        return { success: true };
      },
    };
    await bindLimiter(scene.session_id, limiter);
    const socket = await openSocket(scene.stub, { ...ADMIN, token_id: "one" }, {});
    socket.send({ type: "execute", data: { user_input: "Wait 60 seconds" }, id: 1 });
    socket.send({ type: "execute", data: { user_input: "Say 'next'" }, id: 2 });
    socket.send({ type: "cancel", id: 3 });
    socket.send({ type: "ping", id: 4 });
    await socket.control("pong", 4);
    expect(socket.controls.some(({ type }) => type === "accepted")).toBe(false);
    late.resolve();
    expect((await socket.control("query_complete", 1)).data.status).toBe("cancelled");
    expect((await socket.control("query_complete", 2)).data.status).toBe("complete");
    socket.close();
  });
});

function failsAtOnce(): never {
  throw new Error("the limiter is broken by a test");
}

async function read(answer: Promise<Response>) {
  const response = await answer;
  return { status: response.status, retryAfter: response.headers.get("retry-after"), body: await response.text() };
}
