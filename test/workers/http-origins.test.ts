import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { RateLimiter } from "../../src/session/rate-limit.ts";
import { newLinked, openLink } from "./http-link-scene.ts";
import { type Asked, ask, newSession, ORIGIN, read } from "./http-scene.ts";

const PAGE = "https://app.example.com";
const listed = { GATEWAY_ALLOWED_ORIGINS: `https://other.example.com:8443, ${PAGE}` };

/** The headers of an answer that speak of origins. */
async function corsOf(response: Promise<Response>) {
  const { status, headers } = await read(await response);
  const speaking = Object.entries(headers).filter(([name]) => name.startsWith("access-control") || name === "vary");
  return { status, cors: Object.fromEntries(speaking) };
}

const preflight = (path: string, method: string, { headers = {}, ...asked }: Asked = {}) =>
  ask("OPTIONS", path, {
    token: null,
    env: listed,
    headers: {
      origin: PAGE,
      "access-control-request-method": method,
      "access-control-request-headers": "authorization,content-type",
      ...headers,
    },
    ...asked,
  });

const limiter: RateLimiter = { limit: async () => ({ success: false }) };

test("[AUTH8] [REST19] where no origin is listed, no answer says anything of origins", async () => {
  const { session_id } = await newSession();
  for (const headers of [{ origin: PAGE }, { origin: ORIGIN }, { origin: "null" }]) {
    for (const path of ["health", "sessions", `sessions/${session_id}`, "nothing"]) {
      expect((await corsOf(ask("GET", path, { headers }))).cors).toEqual({});
      expect(await corsOf(preflight(path, "GET", { headers, env: {} }))).toEqual({ status: 401, cors: {} });
    }
  }
});

test("[AUTH9] a page of a listed origin may ask, before it sends its token, what each route takes", async () => {
  const methods: [path: string, method: string, taken: string][] = [
    ["health", "GET", "HEAD, GET"],
    ["sessions", "POST", "HEAD, GET, POST"],
    ["sessions/x", "PATCH", "HEAD, GET, PATCH, DELETE"],
    ["sessions/x/tickets", "POST", "POST"],
    ["sessions/x/files/a/b.txt", "PUT", "HEAD, GET, PUT, DELETE"],
  ];
  for (const [path, method, taken] of methods) {
    expect([path, await corsOf(preflight(path, method))]).toEqual([
      path,
      {
        status: 204,
        cors: {
          "access-control-allow-origin": PAGE,
          "access-control-allow-methods": taken,
          "access-control-allow-headers":
            "authorization, content-type, accept, idempotency-key, if-match, if-none-match, if-range, range, last-event-id",
          "access-control-max-age": "3600",
          vary: "origin",
        },
      },
    ]);
  }
});

test("[AUTH9] other origins, unknown routes and what is no such question get no leave", async () => {
  const strangers = [
    "https://elsewhere.test",
    "http://app.example.com",
    `${PAGE}:444`,
    `${PAGE}.evil.test`,
    "null",
    ORIGIN,
  ];
  for (const origin of strangers) {
    const refused = await corsOf(preflight("sessions", "GET", { headers: { origin } }));
    expect([origin, refused]).toEqual([origin, { status: 401, cors: { vary: "origin" } }]);
    const read = await corsOf(ask("GET", "sessions", { env: listed, headers: { origin } }));
    expect([origin, read]).toEqual([origin, { status: 200, cors: { vary: "origin" } }]);
  }
  expect((await corsOf(preflight("nothing", "GET"))).status).toBe(401);
  const plain = ask("OPTIONS", "sessions", { token: null, env: listed, headers: { origin: PAGE } });
  expect((await corsOf(plain)).status).toBe(401);
});

test("[AUTH9] a listed origin reads answers and their headers, errors too; never with credentials, never all origins", async () => {
  const { session_id } = await newSession();
  const failing: Partial<Cloudflare.Env> = { ...listed, RATE_LIMITER: limiter };
  const asked: [status: number, request: Promise<Response>][] = [
    [200, ask("GET", "health", { env: listed, headers: { origin: PAGE } })],
    [200, ask("GET", `sessions/${session_id}`, { env: listed, headers: { origin: PAGE } })],
    [401, ask("GET", "sessions", { token: null, env: listed, headers: { origin: PAGE } })],
    [403, ask("POST", "sessions", { token: "ann-read", env: listed, headers: { origin: PAGE } })],
    [404, ask("GET", "sessions/x", { env: listed, headers: { origin: PAGE } })],
    [405, ask("PUT", "sessions/x", { env: listed, headers: { origin: PAGE } })],
    [429, ask("GET", "sessions", { env: failing, headers: { origin: PAGE } })],
    [503, ask("GET", "sessions", { env: { ...listed, GATEWAY_PERMISSIONS: "x" }, headers: { origin: PAGE } })],
  ];
  for (const [status, request] of asked) {
    const expose =
      "accept-ranges, allow, content-disposition, content-range, etag, location, retry-after, turnpike-turn-id, www-authenticate";
    const cors = {
      "access-control-allow-origin": PAGE,
      "access-control-expose-headers": expose,
      vary: "origin",
    };
    expect(await corsOf(request)).toEqual({ status, cors });
  }
});

test("[AUTH7] a page of a listed origin opens a socket", async () => {
  const { session_id } = await newSession();
  const asked = { env: listed, headers: { upgrade: "websocket", origin: PAGE } };
  const { status, webSocket } = await ask("GET", `sessions/${session_id}/stream`, asked);
  expect(status).toBe(101);
  webSocket?.accept();
  webSocket?.close();
  const elsewhere = { env: listed, headers: { upgrade: "websocket", origin: "https://elsewhere.test" } };
  expect((await ask("GET", `sessions/${session_id}/stream`, elsewhere)).status).toBe(403);
});

test("[AUTH9] the pages of links say nothing of origins", async () => {
  const { url } = await newLinked();
  for (const method of ["GET", "OPTIONS"]) {
    const headers = { origin: PAGE, "access-control-request-method": "POST" };
    expect((await corsOf(openLink(url, { method, env: { ...env, ...listed }, headers }))).cors).toEqual({});
  }
});
