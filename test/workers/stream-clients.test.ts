import { expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { FRAME_ID_MAX_CHARS, QUEUE_MAX_TURNS } from "../../src/protocol/limits.ts";
import { parsePage } from "../support/event-page.ts";
import { hold, message, text } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { contentOf, viewOf } from "./log-view.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";

const isEnd = ({ type }: Event) => type === "ITERATION_END";
const execute = (user_input: string, more: { id?: string | number; [field: string]: unknown } = {}) => {
  const { id, ...fields } = more;
  return { type: "execute", data: { user_input, ...fields }, ...(id === undefined ? {} : { id }) };
};

/** A session whose model stops after `Hello ` until it is released. */
async function createHeldScene() {
  const reply = message([text("Hello world", [6])]);
  return createClaudeScene([[...reply.slice(0, 3), hold("rest"), ...reply.slice(3)], message([text("Next.")])]);
}

test("[WS11] [LOG3] clients that are there from the start see the same frames", async () => {
  const scene = await createScene();
  const clients = [await scene.socket(), await scene.socket({ after: "0" }), await scene.socket()];
  clients[1]?.send(execute("Say 'hello', then Write 'x' to work_products/x.txt"));
  for (const client of clients) await client.until(isEnd);
  const [first, ...others] = clients.map(({ events }) => events);
  for (const events of others) expect(events).toEqual(first);
  expect(viewOf(first ?? []).content).toEqual(contentOf(await scene.log()));
});

test("[WS3] [BLOCK6] a socket opened in the middle of a block goes on from its greeting's cursor", async () => {
  const scene = await createHeldScene();
  const first = await scene.socket({ after: "0" });
  await scene.submit("Go");
  await first.until(({ type }) => type === "TEXT");
  const [live, whole] = [await scene.socket(), await scene.socket({ after: "0" })];
  const { data, timestamp } = await live.control("connected");
  expect(data).toEqual({
    session_id: scene.session_id,
    workspace_dir: `sessions/${scene.session_id}`,
    cursor: "4~4.6",
  });
  expect(timestamp).toMatch(/^\d{4}-.*Z$/);
  expect((await whole.control("connected")).data.cursor).toBe("0");
  const page = parsePage(unwrap(await scene.stub.events(ADMIN, { after: "0", limit: 100, types: null })));
  expect(page.events.at(-1)).toMatchObject({ type: "TEXT", data: { text: "Hello ", offset: 0, done: false } });
  expect(page).toMatchObject({ cursor: data.cursor, next_cursor: null });
  await scene.claude.release("rest");
  for (const client of [first, live, whole]) await client.until(isEnd);
  const log = contentOf(await scene.log());
  expect(live.events[0]).toMatchObject({ seq: 4, data: { text: "world", offset: 6 } });
  expect(viewOf([...page.events, ...live.events]).content).toEqual(log);
  expect(viewOf(first.events).content).toEqual(log);
  expect(viewOf(whole.events).content).toEqual(log);
});

test("[WS5] an execute is accepted before its first event, and its result goes to its socket alone", async () => {
  const scene = await createScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send(execute("Say 'hello'", { id: "first" }));
  const { data: result } = await one.control("query_complete", "first");
  await other.until(isEnd);
  const types = one.frames.map(({ type }) => type);
  expect(types).toEqual([
    "connected",
    "accepted",
    "SESSION_INFO",
    "USER_INPUT",
    "STATUS",
    "TEXT",
    ...types.slice(6, -2),
    "ITERATION_END",
    "query_complete",
  ]);
  expect(other.controls.map(({ type }) => type)).toEqual(["connected"]);
  const {
    user_input: _,
    metadata: __,
    created_at: ___,
    ...turn
  } = unwrap(await scene.stub.turn(ADMIN, result.turn_id));
  expect(result).toEqual(turn);
  expect(result).toMatchObject({ status: "complete", response_text: "hello", cursor: one.events.at(-1)?.cursor });
});

test("[WS5] [TURN4] each of several executes is accepted, and has its own result", async () => {
  const scene = await createHeldScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send(execute("Go", { id: 1 }));
  await one.until(({ type }) => type === "TEXT");
  one.send(execute("And then", { id: 2 }));
  other.send(execute("And last", { id: 1 }));
  const waiting = [await one.control("accepted", 2), await other.control("accepted", 1)];
  expect(waiting.map(({ data }) => data.status)).toEqual(["queued", "queued"]);
  const positions = (await scene.log()).flatMap(({ type, data }) =>
    type === "STATUS" && data.status === "queued" ? [data] : [],
  );
  expect(positions).toMatchObject([
    { text: "And then", position: 1 },
    { text: "And last", position: 2 },
  ]);
  await scene.claude.release("rest");
  const { turn_id: first } = (await one.control("accepted", 1)).data;
  expect((await one.control("query_complete", 1)).data).toMatchObject({
    turn_id: first,
    response_text: "Hello world",
  });
  expect((await one.control("query_complete", 2)).data).toMatchObject({ turn_id: waiting[0]?.data.turn_id });
  expect((await other.control("query_complete", 1)).data).toMatchObject({ turn_id: waiting[1]?.data.turn_id });
  expect(viewOf(one.events).content).toEqual(contentOf((await scene.log()).slice(0, one.events.at(-1)?.seq)));
});

test("[IDEM1] [IDEM2] an execute with the same key joins the turn, from another socket and after its end", async () => {
  const scene = await createHeldScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send(execute("Go", { id: "a", idempotency_key: "k" }));
  const { data: accepted } = await one.control("accepted", "a");
  other.send(execute("Go", { id: "b", idempotency_key: "k" }));
  expect((await other.control("accepted", "b")).data).toEqual(accepted);
  other.send(execute("Something else", { id: "c", idempotency_key: "k" }));
  expect((await other.control("error", "c")).data.code).toBe("idempotency_key_reused");
  await scene.claude.release("rest");
  const { data: result } = await one.control("query_complete", "a");
  expect((await other.control("query_complete", "b")).data).toEqual(result);
  const late = await scene.socket();
  late.send(execute("Go", { id: "d", idempotency_key: "k" }));
  expect((await late.control("accepted", "d")).data).toEqual(accepted);
  expect((await late.control("query_complete", "d")).data).toEqual(result);
  expect((await scene.log()).filter(isEnd)).toHaveLength(1);
});

test("[WS6] [REST12] a socket that waits for too many results is refused, and breaks nothing", async () => {
  const scene = await createHeldScene();
  const socket = await scene.socket();
  const id = (n: number) => `${n}`.padEnd(FRAME_ID_MAX_CHARS, "-");
  for (let n = 0; n < 200; n++) socket.send(execute("Go", { id: id(n), idempotency_key: "k" }));
  socket.send(execute("And then", { id: "new" }));
  expect((await socket.control("error", "new")).data.code).toBe("queue_full");
  await scene.claude.release("rest");
  // The turn that runs and those that may wait behind it.
  for (let n = 0; n <= QUEUE_MAX_TURNS; n++) await socket.control("query_complete", id(n));
  const refused = socket.controls.filter(({ type }) => type === "error");
  expect(refused).toHaveLength(200 - QUEUE_MAX_TURNS);
  socket.send(execute("And then", { id: "again" }));
  expect((await socket.control("query_complete", "again")).data.status).toBe("complete");
  expect(viewOf(socket.events).content).toEqual(contentOf(await scene.log()));
});

test("[WS7] [TURN18] a cancel ends the running turn for all, and keeps the text so far", async () => {
  const scene = await createHeldScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send(execute("Go", { id: "go" }));
  await one.until(({ type }) => type === "TEXT");
  other.send({ type: "cancel" });
  expect((await one.control("query_complete", "go")).data).toMatchObject({
    status: "cancelled",
    response_text: "Hello ",
  });
  expect((await other.until(isEnd)).data).toMatchObject({ status: "cancelled" });
  expect(other.controls.map(({ type }) => type)).toEqual(["connected"]);
  expect(viewOf(other.events).content).toEqual(contentOf(await scene.log()));
});

test("[WS7] a cancel that names a turn stops no other", async () => {
  const scene = await createHeldScene();
  const socket = await scene.socket();
  socket.send(execute("Go", { id: "go" }));
  await socket.until(({ type }) => type === "TEXT");
  socket.send(execute("And then", { id: "then" }));
  const { turn_id: running } = (await socket.control("accepted", "go")).data;
  const { turn_id: waiting } = (await socket.control("accepted", "then")).data;
  socket.send({ type: "cancel", data: { turn_id: "x" }, id: "bad" });
  expect((await socket.control("error", "bad")).data.code).toBe("invalid_request");
  socket.send({ type: "cancel", data: { turn_id: waiting } });
  socket.send({ type: "ping", id: 1 });
  await socket.control("pong", 1);
  expect(socket.events.filter(isEnd)).toEqual([]);
  socket.send({ type: "cancel", data: { turn_id: running } });
  expect((await socket.control("query_complete", "go")).data.status).toBe("cancelled");
  expect((await socket.control("query_complete", "then")).data.status).toBe("complete");
});

test("[WS13] [SESSION14] a session's sockets hear that it was deleted, and are closed with 4010", async () => {
  const scene = await createHeldScene();
  const clients = [await scene.socket(), await scene.socket({ after: "0" })];
  await scene.submit("Go");
  for (const client of clients) await client.until(({ type }) => type === "TEXT");
  unwrap(await scene.stub.remove(ADMIN));
  for (const client of clients) {
    expect((await client.untilClosed()).code).toBe(4010);
    expect(client.events.at(-1)).toMatchObject({ type: "STATUS", turn_id: null, data: { status: "deleted" } });
  }
  expect(await scene.claude.closed(0)).toBe("client");
  await expect(scene.socket()).rejects.toThrow("not_found");
});

test("[LOG7] a client that goes away in the middle changes nothing for the others", async () => {
  const scene = await createHeldScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send(execute("Go"));
  await one.until(({ type }) => type === "TEXT");
  one.close();
  await scene.claude.release("rest");
  expect((await other.until(isEnd)).data).toMatchObject({ status: "complete" });
  expect(viewOf(other.events).content).toEqual(contentOf(await scene.log()));
});
