import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { type ClientFrame, clientFrame } from "../../src/protocol/frames.ts";
import { type Scope, scope } from "../../src/protocol/principal.ts";
import { session } from "../../src/protocol/rest.ts";
import { ticket } from "../../src/protocol/tokens.ts";
import { codeOf, ORIGIN } from "./http-scene.ts";
import { SocketClient } from "./session-scene.ts";

/** The scope that each route needs. Whoever adds a route adds its row. */
const API_ROUTES: Readonly<Record<string, Scope | "open">> = {
  "GET /health": "open",
  "POST /sessions": "write",
  "GET /sessions": "read",
  "GET /sessions/:session_id": "read",
  "PATCH /sessions/:session_id": "write",
  "DELETE /sessions/:session_id": "write",
  "POST /sessions/:session_id/turns": "write",
  "GET /sessions/:session_id/turns": "read",
  "GET /sessions/:session_id/turns/:turn_id": "read",
  "DELETE /sessions/:session_id/turns/:turn_id": "write",
  "POST /sessions/:session_id/cancel": "write",
  "GET /sessions/:session_id/inputs/:input_id": "read",
  "POST /sessions/:session_id/inputs/:input_id": "approve",
  "POST /sessions/:session_id/inputs/:input_id/link": "approve",
  "POST /sessions/:session_id/tool_results/:tool_use_id": "write",
  "GET /sessions/:session_id/events": "read",
  "GET /sessions/:session_id/stream": "read",
  "POST /sessions/:session_id/tickets": "read",
  "GET /sessions/:session_id/files": "read",
  "GET /sessions/:session_id/files/:path{.*}": "read",
  "PUT /sessions/:session_id/files/:path{.*}": "write",
  "DELETE /sessions/:session_id/files/:path{.*}": "write",
  "GET /usage": "read",
  "GET /tokens": "admin",
  "POST /tokens": "admin",
  "DELETE /tokens/:token_id": "admin",
};

/** What no token is asked for: the document, the page that shows it, and the pages of links, which are a right by themselves. */
const OTHER_ROUTES = ["GET /openapi.json", "GET /docs", "GET /answer/*", "POST /answer/*"];

/** The scope that each frame needs, beside `read`, without which there is no socket. */
const FRAMES: Readonly<Record<ClientFrame["type"], Scope | null>> = {
  execute: "write",
  cancel: "write",
  tool_result: "write",
  input_response: "approve",
  ack: null,
  ping: null,
};

/** Tokens are what they may do: `read+write`, `none`. */
const app = createApp({
  version: "1",
  defaultModel: "demo",
  authenticate: async (token) => ({
    user_id: "matrix",
    scopes: token === "none" ? [] : token.split("+").map((one) => scope.parse(one)),
    token_id: `the id of ${token}`,
  }),
  tokenHolds: async () => true,
});

/** A thing of the platform that fails whoever touches it. */
function untouchable<T extends object>(thing: T): T {
  return new Proxy(thing, {
    get: () => {
      throw new Error("nothing was to be looked at");
    },
  });
}
const NOTHING = {
  SESSIONS: untouchable(env.SESSIONS),
  CATALOG: untouchable(env.CATALOG),
  BLOBS: untouchable(env.BLOBS),
};

type Sent = { token?: string; headers?: Record<string, string>; body?: string; bindings?: Partial<Cloudflare.Env> };

async function ask(method: string, path: string, { token, headers = {}, body, bindings = {} }: Sent) {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const init = { method, headers: { ...authorization, ...headers }, ...(body === undefined ? {} : { body }) };
  const request = new Request(`${ORIGIN}/api/v1${path}`, init);
  return app.fetch(request, { ...env, ...bindings }, createExecutionContext());
}

/** A path of a route, of a session that does not exist. */
const pathOf = (route: string) =>
  route.replaceAll(":session_id", `session_${ulid()}`).replace(/:[a-z_]+(?:\{.*\})?/g, "x");

test("[AUTH10] every route has its row in the matrix", () => {
  const routes = new Set(
    app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`),
  );
  const rows = Object.keys(API_ROUTES).map((row) => row.replace(" ", " /api/v1"));
  expect([...routes].sort()).toEqual([...rows, ...OTHER_ROUTES].sort());
});

test("[AUTH6] [AUTH10] a route takes the scope that it needs, and refuses every other before anything is looked at", async () => {
  // Once a while some request is the occasion to look for what is due: it shall not be one of those below.
  await (await ask("GET", "/health", {})).text();
  for (const [row, needed] of Object.entries(API_ROUTES)) {
    if (needed === "open") continue;
    const [method = "", route = ""] = row.split(" ");
    for (const token of [...scope.options, "none"]) {
      // A query that no route takes is what is refused next.
      const headers = { "content-type": "application/json" };
      const body = method === "GET" || method === "DELETE" ? {} : { headers, body: "{" };
      const answered = await ask(method, `${pathOf(route)}?nope=1`, { token, bindings: NOTHING, ...body });
      const expected = token === needed ? "invalid_request" : "forbidden";
      expect([row, token, await codeOf(answered)]).toEqual([row, token, expected]);
    }
  }
});

async function newSession(): Promise<string> {
  const created = await ask("POST", "/sessions", {
    token: "write",
    body: "{}",
    headers: { "content-type": "application/json" },
  });
  return session.parse(await created.json()).session_id;
}

async function newTicket(id: string, token: string, scopes?: string[]): Promise<string> {
  const body = JSON.stringify({ scopes });
  const headers = { "content-type": "application/json" };
  const minted = await ask("POST", `/sessions/${id}/tickets`, { token, body, headers });
  return ticket.parse(await minted.json()).ticket;
}

test("[TICKET2] [AUTH10] a ticket stands for a token on the two routes that it is for, and on no other", async () => {
  const id = await newSession();
  const right = await newTicket(id, "read+write+approve+admin");
  for (const [row, needed] of Object.entries(API_ROUTES)) {
    if (needed === "open") continue;
    const [method = "", route = ""] = row.split(" ");
    const path = route.replaceAll(":session_id", id).replace(/:[a-z_]+(?:\{.*\})?/g, "x");
    const refused = await codeOf(await ask(method, `${path}?ticket=${right}&nope=1`, {}));
    // The ticket is used up by the first of them, and counts for the second no more.
    const expected = row === "GET /sessions/:session_id/events" ? "invalid_request" : "unauthenticated";
    expect([row, refused]).toEqual([row, expected]);
  }
});

const samples: readonly ClientFrame[] = [
  { type: "execute", id: "execute", data: { user_input: " " } },
  { type: "cancel", id: "cancel" },
  { type: "tool_result", id: "tool_result", data: { tool_use_id: "x", content: "x" } },
  { type: "input_response", id: "input_response", data: { input_id: "x", response: "allow" } },
  { type: "ack", id: "ack", data: { cursor: "0" } },
  { type: "ping", id: "ping" },
];
/** What a frame is answered with that may be sent; null where that is nothing. */
const ANSWERS: Readonly<Record<ClientFrame["type"], string | null>> = {
  execute: "blank_input",
  cancel: null,
  tool_result: "not_found",
  input_response: "not_found",
  ack: null,
  ping: "pong",
};

/** What each frame was answered with on a socket. */
async function answersOf(response: Response): Promise<Record<string, string | null>> {
  if (response.webSocket === null) throw new Error(await response.text());
  const socket = new SocketClient(response.webSocket);
  await socket.control("connected");
  for (const frame of samples) socket.send(frame);
  await socket.control("pong", "ping");
  for (const id of ["execute", "tool_result", "input_response"]) await socket.control("error", id);
  socket.close();
  const answers: Record<string, string | null> = Object.fromEntries(samples.map(({ type }) => [type, null]));
  for (const frame of socket.controls) {
    if (frame.type === "error" && frame.id !== undefined) answers[frame.id] = frame.data.code;
    if (frame.type === "pong" && frame.id !== undefined) answers[frame.id] = frame.type;
  }
  return answers;
}

test("[AUTH6] [AUTH10] [TICKET6] a frame takes the scope that it needs, of a token or of a ticket, and refuses every other", async () => {
  expect(Object.keys(FRAMES).sort()).toEqual(clientFrame.options.map(({ shape }) => shape.type.value).sort());
  expect(samples.map(({ type }) => type).sort()).toEqual(Object.keys(FRAMES).sort());
  const id = await newSession();
  for (const one of scope.options) {
    const scopes = one === "read" ? ["read"] : ["read", one];
    const headers = { upgrade: "websocket" };
    const right = await newTicket(id, "read+write+approve+admin", scopes);
    const expected = Object.fromEntries(
      samples.map(({ type }) => [type, FRAMES[type] === null || FRAMES[type] === one ? ANSWERS[type] : "forbidden"]),
    );
    const byToken = await answersOf(await ask("GET", `/sessions/${id}/stream`, { token: scopes.join("+"), headers }));
    expect([one, byToken]).toEqual([one, expected]);
    const byTicket = await answersOf(await ask("GET", `/sessions/${id}/stream?ticket=${right}`, { headers }));
    expect([one, byTicket]).toEqual([one, expected]);
  }
});
