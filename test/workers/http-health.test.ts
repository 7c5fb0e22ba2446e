import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { HEALTH_MAX_AGE_MS, HEALTH_TIMEOUT_MS } from "../../src/protocol/limits.ts";
import { health } from "../../src/protocol/rest.ts";
import { ask, ORIGIN } from "./http-scene.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A database whose queries end as `answer` does. */
function database(answer: () => Promise<unknown>): D1Database {
  return new Proxy(env.CATALOG, {
    get: (target, name) => (name === "prepare" ? () => ({ run: answer }) : Reflect.get(target, name)),
  });
}

function aGateway() {
  const app = createApp({ version: "1.2.3", defaultModel: "some-model" });
  return async (bindings: Partial<Cloudflare.Env> = {}) => {
    const request = new Request(`${ORIGIN}/api/v1/health`);
    const response = await app.fetch(request, { ...env, ...bindings }, createExecutionContext());
    return { status: response.status, body: health.parse(await response.json()) };
  };
}

test("[REST7] a gateway that reaches its storage is healthy, and says which version and model it has", async () => {
  expect(await aGateway()()).toEqual({
    status: 200,
    body: { status: "healthy", version: "1.2.3", model: "some-model", checks: { d1: "ok", r2: "ok" } },
  });
});

test("[REST7] one check that fails, or does not end, is a 503 that names it", async () => {
  const failing = database(() => Promise.reject(new Error("the disk is at 10.0.0.1")));
  expect(await aGateway()({ CATALOG: failing })).toMatchObject({
    status: 503,
    body: { status: "unhealthy", checks: { d1: "failed", r2: "ok" } },
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const hanging = aGateway()({ CATALOG: database(() => new Promise(() => {})) });
  await vi.advanceTimersByTimeAsync(HEALTH_TIMEOUT_MS);
  expect(await hanging).toMatchObject({ status: 503, body: { checks: { d1: "failed" } } });
});

test("[REST7] a gateway whose database lacks the newest table is unhealthy", async () => {
  // Of this test file's own: each has a storage of its own.
  const newest = env.TEST_MIGRATIONS.at(-1)?.queries.join("\n") ?? "";
  const [, table = ""] = /CREATE TABLE (\w+)/.exec(newest) ?? [];
  await env.CATALOG.exec(`ALTER TABLE ${table} RENAME TO other`);
  expect(await aGateway()()).toMatchObject({ status: 503, body: { checks: { d1: "failed", r2: "ok" } } });
  await env.CATALOG.exec(`ALTER TABLE other RENAME TO ${table}`);
  expect((await aGateway()()).status).toBe(200);
});

test("[REST7] checks are made again when they are 10 s old", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  let calls = 0;
  const CATALOG = database(async () => calls++);
  const gateway = aGateway();
  for (const [step, expected] of [
    [0, 1],
    [HEALTH_MAX_AGE_MS - 1, 1],
    [1, 2],
  ] as const) {
    vi.setSystemTime(Date.now() + step);
    await gateway({ CATALOG });
    expect(calls).toBe(expected);
  }
});

test("[REST21] a gateway with a variable that is not valid is unhealthy, and lets nobody in", async () => {
  const secret = "allow-nothing";
  for (const name of ["GATEWAY_PERMISSIONS", "GATEWAY_PRICES", "GATEWAY_INPUT_TIMEOUT_SECONDS", "GATEWAY_MAX_TURNS"]) {
    const bindings = { [name]: secret };
    expect(await aGateway()(bindings)).toMatchObject({
      status: 503,
      body: { status: "unhealthy", checks: { d1: "ok", r2: "ok" } },
    });
    for (const path of ["sessions", "nothing"]) {
      const refused = await ask("GET", path, { env: bindings });
      expect(refused.status).toBe(503);
      const body = await refused.text();
      expect(body).toContain(name);
      expect(body).not.toContain(secret);
    }
  }
  expect((await aGateway()({ GATEWAY_PERMISSIONS: "", GATEWAY_MAX_TURNS: "3" })).status).toBe(200);
});
