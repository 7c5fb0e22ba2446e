import { ulid } from "ulid";
import { expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import {
  acceptedTurn,
  eventPage,
  type SubmitTurnBody,
  session,
  turnPage,
  turnResult,
} from "../../src/protocol/rest.ts";
import { ask, codeOf, newSession, read, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { killObject } from "./kill-object.ts";
import { createScene, type SocketClient } from "./session-scene.ts";

const WAIT = "Wait 60 seconds";
/** Goes on for ten seconds, in steps so short that whoever steers it has its end at once. */
const STEERABLE = { user_input: Array(200).fill("Wait 0.05 seconds").join("; "), max_iterations: 1_000 };

const isCall = ({ type }: Event) => type === "TOOL_CALL";
const isEnd = ({ type }: Event) => type === "ITERATION_END";

/** A message in each of the forms that REST has for it. */
function speaker(sessionId: string, on_busy: SubmitTurnBody["on_busy"], key = ulid()) {
  const post = (user_input: string, query: string, headers: Record<string, string> = {}) =>
    ask("POST", `sessions/${sessionId}/turns${query}`, {
      json: { user_input, on_busy },
      headers: { ...headers, "idempotency-key": key },
    });
  return {
    async accepted(user_input: string) {
      const response = await post(user_input, "");
      const accepted = acceptedTurn.parse(await response.json());
      expect(response.status).toBe(202);
      expect(response.headers.get("location")).toBe(`/api/v1/sessions/${sessionId}/turns/${accepted.turn_id}`);
      return accepted;
    },
    async waited(user_input: string) {
      const response = await post(user_input, "?wait=true");
      expect(response.status).toBe(200);
      return turnResult.parse(await response.json());
    },
    async streamed(user_input: string) {
      const response = await post(user_input, "", { accept: "text/event-stream" });
      return { turn_id: response.headers.get("turnpike-turn-id"), stream: new SseClient(response) };
    },
  };
}

async function logOf(sessionId: string): Promise<Event[]> {
  return eventPage.parse(await (await ask("GET", `sessions/${sessionId}/events?limit=1000`)).json()).events;
}

const get = async (sessionId: string) => session.parse(await (await ask("GET", `sessions/${sessionId}`)).json());

/** Waits for the first event of which this holds, now or later. */
async function seen(sessionId: string, wanted: (event: Event) => boolean): Promise<void> {
  const headers = { accept: "text/event-stream" };
  const events = new SseClient(await ask("GET", `sessions/${sessionId}/events`, { headers }));
  expect(await events.until(wanted)).toBe(true);
  await events.leave();
}

const joined = (log: Event[]) =>
  log.flatMap(({ data }) => ("status" in data && data.status === "steered" ? data.text : []));
const endsOf = (log: Event[]) => log.flatMap(({ type, data }) => (type === "ITERATION_END" ? data.status : []));

test("[REST20] [WAIT7] [SSE9] [IDEM2] [IDEM9] a message that steers has the running turn in every form, however often it is sent", async () => {
  const { session_id } = await newSession();
  const running = acceptedTurn.parse(
    await (await ask("POST", `sessions/${session_id}/turns`, { json: STEERABLE })).json(),
  );
  await seen(session_id, isCall);
  const [a, b, c] = [1, 2, 3].map(() => speaker(session_id, "steer"));
  if (a === undefined || b === undefined || c === undefined) throw new Error("nobody speaks");
  const said = "Say 'better'";
  const [accepted, result, { turn_id, stream }] = await Promise.all([
    a.accepted(said),
    b.waited(said),
    c.streamed(said),
  ]);
  expect(accepted).toEqual({ ...running, steered: true });
  expect(result).toMatchObject({ turn_id: running.turn_id, status: "complete" });
  expect(turn_id).toBe(running.turn_id);
  const events = await stream.toEnd();
  const log = await logOf(session_id);
  expect(events.map(({ seq }) => seq)).toEqual(expect.arrayContaining(log.map(({ seq }) => seq)));
  expect([events[0]?.seq, events.at(-1)?.seq]).toEqual([1, log.length]);
  expect(joined(log)).toEqual([said, said, said]);

  // The turn has ended; each of them says the same again, in another form.
  expect(await b.accepted(said)).toEqual(accepted);
  expect(await c.waited(said)).toEqual(result);
  const again = await a.streamed(said);
  expect((await again.stream.toEnd()).map(({ seq }) => seq)).toEqual(log.map(({ seq }) => seq));
  expect(await logOf(session_id)).toEqual(log);
});

test("[TURN22] [REST8] [WAIT2] [SSE4] [IDEM2] a message that interrupts has its own turn in every form, and stops a turn once", async () => {
  const { session_id } = await newSession();
  await submit(session_id, WAIT);
  await seen(session_id, isCall);
  const [a, b, c] = [1, 2, 3].map(() => speaker(session_id, "interrupt"));
  if (a === undefined || b === undefined || c === undefined) throw new Error("nobody speaks");
  const accepted = await a.accepted(WAIT);
  expect(accepted).toMatchObject({ status: "queued" });
  expect(accepted).not.toHaveProperty("steered");
  await seen(session_id, (event) => isCall(event) && event.turn_id === accepted.turn_id);
  const { turn_id, stream } = await b.streamed(WAIT);
  await stream.until(isCall);
  const result = await c.waited("Say 'last'");
  expect(result).toMatchObject({ status: "complete", response_text: "last" });
  expect((await stream.toEnd()).at(-1)).toMatchObject({
    turn_id,
    type: "ITERATION_END",
    data: { status: "cancelled" },
  });

  const log = await logOf(session_id);
  expect(endsOf(log)).toEqual(["cancelled", "cancelled", "cancelled", "complete"]);
  expect(await c.accepted("Say 'last'")).toMatchObject({ turn_id: result.turn_id, status: "queued" });
  expect(await b.waited(WAIT)).toMatchObject({ turn_id, status: "cancelled" });
  expect((await (await a.streamed(WAIT)).stream.toEnd()).at(-1)).toMatchObject({ turn_id: accepted.turn_id });
  expect(await logOf(session_id)).toEqual(log);
});

/** The ids of the frames whose turn's result has come, and the result. */
const completed = (socket: SocketClient) =>
  socket.controls.flatMap((frame) => (frame.type === "query_complete" ? [[frame.id, frame.data.turn_id]] : []));

test("[WS5] [WS11] [REST20] [IDEM9] every execute that belongs to a turn has its result, each under its own id", async () => {
  const scene = await createScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  one.send({ type: "execute", data: STEERABLE, id: "begin" });
  const { turn_id } = (await one.control("accepted", "begin")).data;
  await one.until(isCall);
  const steer = (key?: string) => ({ user_input: "Say 'better'", on_busy: "steer", idempotency_key: key });
  one.send({ type: "execute", data: steer(), id: 1 });
  other.send({ type: "execute", data: steer("key"), id: 2 });
  other.send({ type: "execute", data: steer("key"), id: 3 });
  const answers = [
    await one.control("accepted", 1),
    await other.control("accepted", 2),
    await other.control("accepted", 3),
  ];
  for (const { data } of answers) expect(data).toEqual({ turn_id, status: "running", steered: true });
  await Promise.all([one.control("query_complete", 1), other.control("query_complete", 3)]);
  // A repeat after the end has both answers at once.
  other.send({ type: "execute", data: steer("key"), id: 4 });
  await other.control("query_complete", 4);
  expect(completed(one)).toEqual([
    ["begin", turn_id],
    [1, turn_id],
  ]);
  expect(completed(other)).toEqual([2, 3, 4].map((id) => [id, turn_id]));
  expect(joined(await scene.log())).toHaveLength(2);
});

test("[WS5] [TURN22] an execute that interrupts has its own turn's result, and the other that of a cancelled one", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  socket.send({ type: "execute", data: { user_input: WAIT }, id: 1 });
  await socket.until(isCall);
  socket.send({ type: "execute", data: { user_input: "Say 'mine'", on_busy: "interrupt" }, id: 2 });
  expect((await socket.control("accepted", 2)).data).toMatchObject({ status: "queued" });
  expect((await socket.control("query_complete", 2)).data).toMatchObject({ response_text: "mine" });
  expect((await socket.control("query_complete", 1)).data).toMatchObject({ status: "cancelled" });
});

test("[REST13] [REST14] [SESSION4] [TURN5] [TURN25] what waits survives a crash, is listed, and can be taken out", async () => {
  const { session_id } = await newSession();
  const first = await submit(session_id, WAIT);
  await seen(session_id, isCall);
  const queued = await submit(session_id, "Say 'queued'");
  await speaker(session_id, "steer").accepted("Say 'steered'");
  const interrupting = [await speaker(session_id, "interrupt").accepted(WAIT)];
  await seen(session_id, (event) => isCall(event) && event.turn_id === interrupting[0]?.turn_id);
  // The object is lost, and the message after that finds a turn to interrupt, which goes on at this moment.
  await killObject(session_id);
  interrupting.unshift(await speaker(session_id, "interrupt").accepted(WAIT));
  await seen(session_id, (event) => isCall(event) && event.turn_id === interrupting[0]?.turn_id);
  await speaker(session_id, "steer").accepted("Say 'never joined'");
  await killObject(session_id);

  const { active_turn, queued_turns, status } = await get(session_id);
  expect({ active_turn, status }).toEqual({ active_turn: interrupting[0]?.turn_id, status: "running" });
  expect(queued_turns).toEqual([expect.stringMatching(/^turn_/), queued.turn_id]);
  const { turns } = turnPage.parse(await (await ask("GET", `sessions/${session_id}/turns`)).json());
  const statusOf = Object.fromEntries(turns.map(({ turn_id, ...turn }) => [turn_id, [turn.user_input, turn.status]]));
  expect(statusOf).toEqual({
    [first.turn_id]: [WAIT, "cancelled"],
    [queued.turn_id]: ["Say 'queued'", "queued"],
    [queued_turns[0] ?? ""]: ["Say 'steered'", "queued"],
    [interrupting[1]?.turn_id ?? ""]: [WAIT, "cancelled"],
    [interrupting[0]?.turn_id ?? ""]: [WAIT, "running"],
  });
  const remove = (turnId = "") => ask("DELETE", `sessions/${session_id}/turns/${turnId}`);
  expect(await codeOf(await remove(interrupting[0]?.turn_id))).toBe("session_busy");
  expect((await read(await remove(queued_turns[0]))).status).toBe(204);
  await killObject(session_id);
  expect(await codeOf(await remove(queued_turns[0]))).toBe("not_found");
  expect((await get(session_id)).queued_turns).toEqual([queued.turn_id]);
  // What waited to join goes before it.
  const cancelled = await ask("POST", `sessions/${session_id}/cancel`);
  expect(await cancelled.json()).toEqual({ turn_id: interrupting[0]?.turn_id });
  await seen(session_id, (event) => isEnd(event) && event.turn_id === queued.turn_id);
  const inputs = (await logOf(session_id)).flatMap(({ type, data }) => (type === "USER_INPUT" ? data.text : []));
  expect(inputs).toEqual([WAIT, WAIT, WAIT, "Say 'never joined'", "Say 'queued'"]);
});
