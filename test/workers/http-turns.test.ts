import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { acceptedTurn, eventPage, turn, turnPage, turnResult } from "../../src/protocol/rest.ts";
import { type Asked, ask, codeOf, newSession, read, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";

const SSE = { accept: "text/event-stream" };
const post = (sessionId: string, user_input: string, { wait = "", ...asked }: Asked & { wait?: string } = {}) =>
  ask("POST", `sessions/${sessionId}/turns${wait}`, { json: { user_input }, ...asked });
const logOf = async (sessionId: string) =>
  eventPage.parse(await (await ask("GET", `sessions/${sessionId}/events?limit=1000`)).json()).events;

test("[REST8] [REST9] an accepted turn is a 202 with Location, and its cursor is before its first event", async () => {
  const { session_id } = await newSession();
  const response = await post(session_id, "Say 'hello'");
  expect(response.status).toBe(202);
  const accepted = acceptedTurn.parse(await response.json());
  expect(accepted).toMatchObject({ session_id, cursor: "0" });
  const location = response.headers.get("location") ?? "";
  expect(location).toBe(`/api/v1/sessions/${session_id}/turns/${accepted.turn_id}`);
  expect(turn.parse(await (await ask("GET", location)).json())).toMatchObject({ turn_id: accepted.turn_id });
});

test("[WAIT2] a wait answers with the turn's result", async () => {
  const { session_id } = await newSession();
  for (const wait of ["?wait=true", "?wait=30"]) {
    const response = await post(session_id, "Write 'hi' to work_products/a.txt, then Say 'done'", { wait });
    expect(response.status).toBe(200);
    expect(turnResult.parse(await response.json())).toMatchObject({
      session_id,
      status: "complete",
      response_text: "done",
      tool_calls: 1,
      work_products: ["work_products/a.txt"],
    });
  }
});

test("[WAIT2] a wait for a queued turn ends with that turn, not with the one before it", async () => {
  const { session_id } = await newSession();
  const first = post(session_id, "Count to 20 at 5 ms", { wait: "?wait=true" });
  await (await post(session_id, "Say 'between'")).json();
  const second = await post(session_id, "Say 'second'", { wait: "?wait=true" });
  // Each request has the answer of its own turn, whichever of them was accepted first.
  expect(turnResult.parse(await second.json()).response_text).toBe("second");
  expect(turnResult.parse(await (await first).json()).response_text).toMatch(/^1 2 .* 20 $/);
});

test("[WAIT3] when the time is up the answer is the 202 of a request without wait, and the turn goes on", async () => {
  const { session_id } = await newSession();
  const response = await post(session_id, "Wait 60 seconds", { wait: "?wait=1" });
  expect(response.status).toBe(202);
  const { turn_id } = acceptedTurn.parse(await response.json());
  expect(response.headers.get("location")).toContain(turn_id);
  expect(await (await ask("GET", `sessions/${session_id}/turns/${turn_id}`)).json()).toMatchObject({
    status: "running",
  });
  expect(await (await ask("POST", `sessions/${session_id}/cancel`)).json()).toEqual({ turn_id });
});

test("[WAIT6] a stream takes no wait, and nothing is started", async () => {
  const { session_id } = await newSession();
  const refused = await post(session_id, "Say 'hello'", { wait: "?wait=true", headers: SSE });
  expect(await refused.json()).toMatchObject({ code: "invalid_request", errors: [{ path: "wait" }] });
  expect(await (await ask("GET", `sessions/${session_id}/turns`)).json()).toMatchObject({ turns: [] });
});

test("[WAIT5] a wait goes on when the session's object is evicted beneath it", async () => {
  const { session_id } = await newSession();
  const waiting = post(session_id, "Wait 1 seconds, then Say 'after'", { wait: "?wait=true" });
  const events = new SseClient(await ask("GET", `sessions/${session_id}/events`, { headers: SSE }));
  await events.until((event) => event.type === "TOOL_CALL");
  await evictDurableObject(env.SESSIONS.getByName(session_id), { webSockets: "close" });
  expect(await (await waiting).json()).toMatchObject({ status: "complete", response_text: "after" });
  await events.leave();
});

test("[WAIT2] a session that is deleted while a client waits is not_found for that client", async () => {
  const { session_id } = await newSession();
  const waiting = post(session_id, "Wait 60 seconds", { wait: "?wait=true" });
  const events = new SseClient(await ask("GET", `sessions/${session_id}/events`, { headers: SSE }));
  await events.until((event) => event.type === "TOOL_CALL");
  await read(await ask("DELETE", `sessions/${session_id}`));
  expect(await codeOf(await waiting)).toBe("not_found");
  await events.toEnd();
  expect(events.events.at(-1)).toMatchObject({ type: "STATUS", data: { status: "deleted" } });
});

test("[SSE4] a turn's stream has its events and ends after its ITERATION_END; its id comes with the headers", async () => {
  const { session_id } = await newSession();
  await submit(session_id, "Count to 5 at 5 ms");
  const response = await post(session_id, "Say 'hello', then Write 'x' to a.txt", { headers: SSE });
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const turnId = response.headers.get("turnpike-turn-id");
  const stream = new SseClient(response);
  const events = await stream.toEnd();
  expect(new Set(events.map((event) => event.turn_id))).toEqual(new Set([turnId]));
  expect(events.at(-1)?.type).toBe("ITERATION_END");
  expect(stream.ids).toEqual(events.map((event) => event.cursor));
  const whole = (await logOf(session_id)).filter((event) => event.turn_id === turnId);
  expect([...new Set(events.map((event) => event.seq))]).toEqual(whole.map((event) => event.seq));
});

test("[IDEM1] [IDEM2] a repeat joins the first turn, with wait, as a stream, and after it has ended", async () => {
  const { session_id } = await newSession();
  const headers = { "idempotency-key": ulid() };
  const said = "Say 'once'";
  const first = acceptedTurn.parse(await (await post(session_id, said, { headers })).json());
  const stream = new SseClient(await post(session_id, said, { headers: { ...headers, ...SSE } }));
  const waited = turnResult.parse(await (await post(session_id, said, { headers, wait: "?wait=true" })).json());
  expect(waited.turn_id).toBe(first.turn_id);
  const events = await stream.toEnd();
  expect(events[0]).toMatchObject({ seq: 1, turn_id: first.turn_id });
  expect(events.at(-1)?.type).toBe("ITERATION_END");
  expect(acceptedTurn.parse(await (await post(session_id, said, { headers })).json()).turn_id).toBe(first.turn_id);
  expect(await codeOf(await post(session_id, "Say 'twice'", { headers }))).toBe("idempotency_key_reused");
  const { turns } = turnPage.parse(await (await ask("GET", `sessions/${session_id}/turns`)).json());
  expect(turns).toHaveLength(1);
});

test("[REST11] [REST14] a queued turn is taken out by DELETE; reject is session_busy while a turn runs", async () => {
  const { session_id } = await newSession();
  const running = await submit(session_id, "Wait 60 seconds");
  const queued = await submit(session_id, "Say 'never'");
  const reject = { json: { user_input: "Say 'x'", on_busy: "reject" } };
  expect(await codeOf(await ask("POST", `sessions/${session_id}/turns`, reject))).toBe("session_busy");
  const remove = (turnId: string) => ask("DELETE", `sessions/${session_id}/turns/${turnId}`);
  expect(await codeOf(await remove(running.turn_id))).toBe("session_busy");
  expect((await read(await remove(queued.turn_id))).status).toBe(204);
  expect(await codeOf(await remove(queued.turn_id))).toBe("not_found");
  expect(await codeOf(await remove("x"))).toBe("not_found");
  await read(await ask("POST", `sessions/${session_id}/cancel`));
  expect(await (await ask("POST", `sessions/${session_id}/cancel`)).json()).toEqual({ turn_id: null });
});

test("[REST15] a cancel that names a turn stops no other", async () => {
  const { session_id } = await newSession();
  const { turn_id } = acceptedTurn.parse(await (await post(session_id, "Wait 30 seconds")).json());
  const queued = acceptedTurn.parse(await (await post(session_id, "Say 'next'")).json());
  const cancel = async (body: object) =>
    await (await ask("POST", `sessions/${session_id}/cancel`, { json: body })).json();
  expect(await cancel({ turn_id: queued.turn_id })).toEqual({ turn_id: null });
  expect(await cancel({ turn_id: "x" })).toMatchObject({ code: "invalid_request" });
  expect(await cancel({ turn_id })).toEqual({ turn_id });
  expect(await cancel({ turn_id })).toEqual({ turn_id: null });
});

test("[TURN19] a client that leaves its stream cancels nothing", async () => {
  const { session_id } = await newSession();
  const response = await post(session_id, "Count to 30 at 10 ms", { headers: SSE });
  const turnId = response.headers.get("turnpike-turn-id") ?? "";
  const stream = new SseClient(response);
  await stream.until((event) => event.type === "TEXT");
  await stream.leave();
  const rest = new SseClient(await ask("GET", `sessions/${session_id}/events`, { headers: SSE }));
  expect(await rest.until((event) => event.type === "ITERATION_END")).toBe(true);
  await rest.leave();
  const ended = turn.parse(await (await ask("GET", `sessions/${session_id}/turns/${turnId}`)).json());
  expect(ended).toMatchObject({ status: "complete", response_text: expect.stringMatching(/30 $/) });
});
