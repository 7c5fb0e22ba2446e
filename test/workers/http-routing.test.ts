import { ulid } from "ulid";
import { expect, test, vi } from "vitest";
import { problem } from "../../src/protocol/errors.ts";
import { ask, codeOf, newSession, read } from "./http-scene.ts";

test("[REST5] an unknown route is not_found", async () => {
  const paths = ["nothing", "sessions/", "sessions/x/unknown", "sessions/x/turns/y/z", "tokens/x/y", "openapi.json"];
  const later = ["sessions/x/inputs", "sessions/x/tool_results"];
  for (const path of [...paths, ...later, "/", "/api", "/api/v2/sessions", "//api/v1/sessions", "/API/v1/sessions"]) {
    for (const method of ["GET", "POST"]) {
      expect([path, await codeOf(await ask(method, path))]).toEqual([path, "not_found"]);
    }
  }
});

test("[REST5] a known route with another method is method_not_allowed and says what it takes", async () => {
  const routes = {
    health: "GET, HEAD",
    usage: "GET, HEAD",
    tokens: "GET, HEAD, POST",
    "tokens/x": "DELETE",
    sessions: "POST, GET, HEAD",
    "sessions/x": "GET, HEAD, PATCH, DELETE",
    "sessions/x/turns": "POST, GET, HEAD",
    "sessions/x/turns/y": "GET, HEAD, DELETE",
    "sessions/x/cancel": "POST",
    "sessions/x/inputs/y": "GET, HEAD, POST",
    "sessions/x/inputs/y/link": "POST",
    "sessions/x/tool_results/y": "POST",
    "sessions/x/events": "GET, HEAD",
    "sessions/x/stream": "GET, HEAD",
    "sessions/x/tickets": "POST",
    "sessions/x/files": "GET, HEAD",
    "sessions/x/files/a/b": "GET, HEAD, PUT, DELETE",
  };
  for (const [path, allow] of Object.entries(routes)) {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      if (allow.split(", ").includes(method)) continue;
      const response = await ask(method, path);
      expect([path, method, response.headers.get("allow")]).toEqual([path, method, allow]);
      expect(await codeOf(response)).toBe("method_not_allowed");
    }
  }
});

test("[ERR1] an error is a problem with all its fields, and a HEAD has its status", async () => {
  const response = await ask("GET", "sessions/x");
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(problem.parse(await response.json())).toMatchObject({ type: "about:blank", status: 404, code: "not_found" });
  expect(await read(await ask("HEAD", "sessions/x"))).toMatchObject({ status: 404, body: "" });
});

test("[ERR4] what nobody foresaw is internal and shows nothing of itself", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const SESSIONS = new Proxy(Object.create(null), {
    get: () => () => {
      throw new Error("the secret is 1234");
    },
  });
  const response = await ask("GET", `sessions/session_${ulid()}`, { env: { SESSIONS } });
  expect(response.status).toBe(500);
  expect((await read(response)).body).not.toMatch(/secret|1234|stack/);
  const error = expect.objectContaining({ message: "the secret is 1234" });
  expect(log).toHaveBeenCalledWith(expect.objectContaining({ event: "request", status: 500, error }));
  log.mockRestore();
});

test("[REST19] every answer keeps browsers and caches from doing anything with it", async () => {
  const { session_id } = await newSession();
  const paths = ["health", "sessions", `sessions/${session_id}`, "sessions/x", "nothing", "/"];
  for (const path of paths) {
    const { headers } = await read(await ask("GET", path));
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  }
});

test("[ID2] [ID3] an id that no session can have gets the answer for one that does not exist, and is not echoed", async () => {
  const missing = await read(await ask("GET", "sessions/session_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  const ids = ["x", "session_", "session_01arz3ndektsv4rrffq69g5fav", "session_01ARZ3NDEKTSV4RRFFQ69G5FAV%0a", "%ff"];
  for (const id of [...ids, "session_81ARZ3NDEKTSV4RRFFQ69G5FAV", "a".repeat(5_000), "__proto__", "%00", "..%2f"]) {
    expect(await read(await ask("GET", `sessions/${id}`))).toEqual(missing);
  }
  expect(missing.body).not.toContain("01ARZ");
});
