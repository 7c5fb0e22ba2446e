import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import type { Event } from "../../src/protocol/events.ts";
import { eventPage } from "../../src/protocol/rest.ts";
import { type Asked, ask, codeOf, newSession, ORIGIN, read, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { SocketClient } from "./session-scene.ts";

const SSE = { accept: "text/event-stream" };
const pageOf = async (sessionId: string, query = "") =>
  eventPage.parse(await (await ask("GET", `sessions/${sessionId}/events${query}`)).json());
const follow = async (sessionId: string, query = "", headers = {}) =>
  new SseClient(await ask("GET", `sessions/${sessionId}/events${query}`, { headers: { ...SSE, ...headers } }));
const stream = (sessionId: string, query = "", { headers = {}, ...asked }: Asked = {}) =>
  ask("GET", `sessions/${sessionId}/stream${query}`, { headers: { upgrade: "websocket", ...headers }, ...asked });

/** The events that came, without the pieces that a block came in. */
const seqsOf = (events: Event[]) => [...new Set(events.map(({ seq }) => seq))];

async function afterATurn(text = "Say 'hello'"): Promise<string> {
  const { session_id } = await newSession();
  await read(await ask("POST", `sessions/${session_id}/turns?wait=true`, { json: { user_input: text } }));
  return session_id;
}

test("[REST16] pages of any size are the whole log", async () => {
  const id = await afterATurn("Write 'x' to work_products/x.txt");
  const whole = await pageOf(id);
  expect(whole.next_cursor).toBeNull();
  for (const limit of [1, 3, whole.events.length]) {
    const seen: number[] = [];
    for (let after: string | null = "0"; after !== null; ) {
      const page = await pageOf(id, `?limit=${limit}&after=${after}`);
      seen.push(...page.events.map(({ seq }) => seq));
      after = page.next_cursor;
    }
    expect(seen).toEqual(whole.events.map(({ seq }) => seq));
  }
  const some = await pageOf(id, "?types=TOOL_CALL,TOOL_RESULT");
  expect(some.events.map(({ type }) => type)).toEqual(["TOOL_CALL", "TOOL_RESULT"]);
  expect(some.cursor).toBe(whole.cursor);
});

test("[REST22] while a deploy goes out, the Worker and the object of a session may be of different versions", async () => {
  const id = await afterATurn();
  const expected = await pageOf(id);
  const page = { after: "0", limit: 100, types: null };
  const object = env.SESSIONS.getByName(id);
  // The Worker of before asks for no text, and hands on what it gets as JSON.
  const ofBefore = () => object.events({ user_id: "ann", scopes: ["read"] }, page);
  expect(await ofBefore()).toEqual({ ok: true, value: expected });
  // The object of before does not know that it is asked for one.
  const SESSIONS = new Proxy(env.SESSIONS, {
    get: (namespace, name) => (name === "getByName" ? () => ({ events: ofBefore }) : Reflect.get(namespace, name)),
  });
  const answer = await ask("GET", `sessions/${id}/events`, { env: { SESSIONS } });
  expect(await answer.json()).toEqual(expected);
});

test("[SSE1] [SSE2] [LOG3] the stream is the log from its start, and goes on live", async () => {
  const id = await afterATurn();
  const events = await follow(id);
  const before = await pageOf(id);
  await events.until((event) => event.type === "ITERATION_END");
  expect(events.events).toEqual(before.events);
  expect(events.ids).toEqual(before.events.map(({ cursor }) => cursor));
  expect(events.text).not.toContain("\nevent:");
  const { turn_id } = await submit(id, "Say 'more'");
  await events.until((event) => event.type === "ITERATION_END" && event.turn_id === turn_id);
  expect(seqsOf(events.events)).toEqual(seqsOf((await pageOf(id)).events));
  await events.leave();
});

test("[SSE1] it begins after Last-Event-ID, else after the cursor of the URL", async () => {
  const id = await afterATurn();
  const last = (await pageOf(id)).events.length;
  const cases: [string, Record<string, string>, number][] = [
    ["?after=2", {}, 3],
    ["?after=2", { "last-event-id": `${last - 1}` }, last],
    ["", { "last-event-id": "1" }, 2],
    ["?after=0", { "last-event-id": "0" }, 1],
  ];
  for (const [query, headers, first] of cases) {
    const events = await follow(id, query, headers);
    await events.until(() => true);
    expect(events.events[0]?.seq).toBe(first);
    await events.leave();
  }
});

test("[SSE7] types narrow a stream, and what cannot be streamed is answered before it begins", async () => {
  const id = await afterATurn("Write 'x' to x.txt");
  const events = await follow(id, "?types=TOOL_CALL,ITERATION_END");
  await events.until((event) => event.type === "ITERATION_END");
  expect(events.events.map(({ type }) => type)).toEqual(["TOOL_CALL", "ITERATION_END"]);
  await events.leave();
  expect(await codeOf(await ask("GET", `sessions/${id}/events?after=999`, { headers: SSE }))).toBe("bad_cursor");
  expect(await codeOf(await ask("GET", "sessions/session_x/events", { headers: SSE }))).toBe("not_found");
});

test("[SSE8] a stream takes no limit", async () => {
  const id = await afterATurn();
  const refused = await ask("GET", `sessions/${id}/events?limit=2`, { headers: SSE });
  expect(await refused.json()).toMatchObject({ code: "invalid_request", errors: [{ path: "limit" }] });
});

test("[SSE1] event streams are for those who name them", async () => {
  const id = await afterATurn();
  for (const accept of ["*/*", "application/json", "text/*", "text/event-stream;q=0, */*", ""]) {
    const response = await ask("GET", `sessions/${id}/events`, { headers: { accept } });
    expect([accept, response.headers.get("content-type")]).toEqual([accept, "application/json"]);
    await response.text();
  }
  for (const accept of ["application/json;q=0.5, Text/Event-Stream", "text/event-stream; charset=utf-8"]) {
    const response = await ask("GET", `sessions/${id}/events`, { headers: { accept } });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    await response.body?.cancel();
  }
});

test("[SSE6] a stream goes on when the session's object sleeps or its sockets break", async () => {
  const id = await afterATurn();
  const events = await follow(id);
  for (const webSockets of ["hibernate", "close"] as const) {
    await evictDurableObject(env.SESSIONS.getByName(id), { webSockets });
    const { turn_id } = await submit(id, `Say '${webSockets}'`);
    await events.until((event) => event.type === "ITERATION_END" && event.turn_id === turn_id);
  }
  expect(seqsOf(events.events)).toEqual(seqsOf((await pageOf(id)).events));
  await events.leave();
});

test("[SSE1] a client that goes away leaves no socket behind", async () => {
  const id = await afterATurn();
  const object = env.SESSIONS.getByName(id);
  const leaving = await Promise.all(Array.from({ length: 3 }, () => follow(id)));
  for (const events of leaving) await events.until((event) => event.type === "ITERATION_END");
  for (const events of leaving) await events.leave();
  const staying = await follow(id, "?after=1");
  await submit(id, "Say 'x'");
  await staying.until((event) => event.type === "ITERATION_END" && event.seq > 6);
  const openSockets = () =>
    runInDurableObject(object, (_, state) => state.getWebSockets().filter((socket) => socket.readyState === 1).length);
  await expect.poll(openSockets).toBe(1);
  await staying.leave();
});

test("[SSE1] HEAD has no stream", async () => {
  const id = await afterATurn();
  expect(await read(await ask("HEAD", `sessions/${id}/events`, { headers: SSE }))).toMatchObject({
    status: 200,
    body: "",
  });
});

test("[WS1] the stream is a WebSocket, live only or after a cursor", async () => {
  const id = await afterATurn();
  const response = await stream(id, "?after=2");
  expect(response.status).toBe(101);
  if (response.webSocket === null) throw new Error("no socket");
  const socket = new SocketClient(response.webSocket);
  expect((await socket.control("connected")).data).toMatchObject({ session_id: id, cursor: "2" });
  const { seq: last } = await socket.until((event) => event.type === "ITERATION_END");
  expect(socket.events[0]?.seq).toBe(3);
  socket.close();
  const live = await stream(id);
  if (live.webSocket === null) throw new Error("no socket");
  const later = new SocketClient(live.webSocket);
  await later.control("connected");
  later.send({ type: "execute", data: { user_input: "Say 'x'" } });
  await later.until((event) => event.type === "ITERATION_END");
  expect(later.events[0]?.seq).toBe(last + 1);
  later.close();
});

test("[WS1] [WS2] a handshake that fails is answered over HTTP", async () => {
  const { session_id } = await newSession();
  const own = `sessions/${session_id}/stream`;
  expect(await codeOf(await ask("GET", own))).toBe("invalid_request");
  expect(await codeOf(await ask("GET", own, { headers: { upgrade: "h2c" } }))).toBe("invalid_request");
  expect((await read(await ask("HEAD", own, { headers: { upgrade: "websocket" } }))).status).toBe(400);
  expect(await codeOf(await stream(session_id, "", { token: null }))).toBe("unauthenticated");
  expect(await codeOf(await stream(session_id, "?after=999"))).toBe("bad_cursor");
  expect(await codeOf(await stream("session_x"))).toBe("not_found");
});

test("[AUTH7] a page of another origin opens no socket", async () => {
  const { session_id } = await newSession();
  const origins = [
    "https://elsewhere.test",
    "null",
    "",
    "http://gateway.test",
    `${ORIGIN}:8443`,
    `${ORIGIN}.evil.test`,
  ];
  for (const origin of origins) {
    expect([origin, await codeOf(await stream(session_id, "", { headers: { origin } }))]).toEqual([
      origin,
      "forbidden",
    ]);
  }
  const own = await stream(session_id, "", { headers: { origin: ORIGIN } });
  expect(own.status).toBe(101);
  own.webSocket?.accept();
  own.webSocket?.close();
});

test("[WS2] a user id of any characters opens a socket", async () => {
  const user_id = 'Zoë 🚀 "x"';
  const admin = { token: "test-admin-token" };
  const { session_id } = await newSession({ ...admin, json: { user_id } });
  const app = createApp({
    version: "1",
    defaultModel: "demo",
    authenticate: async () => ({ user_id, scopes: ["read"] }),
  });
  const request = new Request(`${ORIGIN}/api/v1/sessions/${session_id}/stream`, {
    headers: { upgrade: "websocket", authorization: "Bearer any" },
  });
  const response = await app.fetch(request, env, createExecutionContext());
  expect(response.status).toBe(101);
  response.webSocket?.accept();
  response.webSocket?.close();
});
