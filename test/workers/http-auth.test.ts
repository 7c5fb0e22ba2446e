import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import gateway from "../../src/index.ts";
import { ADMIN_TOKEN, ask, codeOf, newSession, ORIGIN, read } from "./http-scene.ts";

const PATHS = ["sessions", "sessions/session_x/events", "no-such-route", "/api/v1/"];

test("[AUTH1] every request but GET /health needs a token, whether or not its route exists", async () => {
  for (const path of PATHS) {
    for (const method of ["GET", "POST", "PATCH", "DELETE", "OPTIONS"]) {
      const response = await ask(method, path, { token: null });
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect([path, method, await codeOf(response)]).toEqual([path, method, "unauthenticated"]);
    }
  }
  expect((await ask("GET", "health", { token: null })).status).toBe(200);
  expect(await codeOf(await ask("POST", "health", { token: null }))).toBe("unauthenticated");
});

test("[AUTH1] only the whole token in the Bearer scheme is valid", async () => {
  const headers = [
    "",
    "Bearer",
    "Bearer ",
    `Basic ${ADMIN_TOKEN}`,
    `Bearer ${ADMIN_TOKEN}x`,
    `Bearer ${ADMIN_TOKEN.slice(1)}`,
    `Bearer ${ADMIN_TOKEN} ${ADMIN_TOKEN}`,
    `Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}`,
    ADMIN_TOKEN,
  ];
  for (const authorization of headers) {
    const response = await ask("GET", "sessions", { token: null, headers: { authorization } });
    expect([authorization, await codeOf(response)]).toEqual([authorization, "unauthenticated"]);
  }
  const lowerCase = await ask("GET", "sessions", { token: null, headers: { authorization: `bearer ${ADMIN_TOKEN}` } });
  expect((await read(lowerCase)).status).toBe(200);
});

test("[AUTH2] the gateway's token is the admin's; where there is none, it lets nobody in", async () => {
  const request = new Request(`${ORIGIN}/api/v1/sessions`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const listed = await gateway.fetch(request, env, createExecutionContext());
  expect((await read(listed)).status).toBe(200);
  expect(await newSession({ token: ADMIN_TOKEN })).toMatchObject({ user_id: "admin" });
  for (const token of [ADMIN_TOKEN, "", "undefined"]) {
    expect(await codeOf(await ask("GET", "sessions", { token, env: { GATEWAY_TOKEN: "" } }))).toBe("unauthenticated");
  }
});

test("[AUTH6] a token without the scope is refused, before anything is said of the session", async () => {
  const { session_id } = await newSession();
  for (const id of [session_id, "session_x"]) {
    const requests = [
      ask("POST", "sessions", { token: "ann-read", json: {} }),
      ask("DELETE", `sessions/${id}`, { token: "ann-read" }),
      ask("POST", `sessions/${id}/turns`, { token: "ann-read", body: "{" }),
      ask("POST", `sessions/${id}/cancel`, { token: "ann-read" }),
      ask("PUT", `sessions/${id}/files/a.txt`, { token: "ann-read", body: "x" }),
      ask("POST", `sessions/${id}/inputs/x`, { token: "ann-write", body: "{" }),
      ask("POST", `sessions/${id}/inputs/x/link`, { token: "ann-write" }),
      ask("GET", `sessions/${id}/inputs/x`, { token: "ann-approve" }),
      ask("POST", `sessions/${id}/tool_results/x`, { token: "ann-approve", body: "{" }),
    ];
    for (const response of await Promise.all(requests)) expect(await codeOf(response)).toBe("forbidden");
  }
  expect((await read(await ask("GET", `sessions/${session_id}`, { token: "ann-read" }))).status).toBe(200);
});

test("[AUTH5] no answer holds the token that was sent", async () => {
  for (const token of ["ann", "wrong-token-of-someone"]) {
    const { headers, body } = await read(await ask("GET", "no-such-route", { token }));
    expect(JSON.stringify(headers) + body).not.toContain(token);
  }
});
