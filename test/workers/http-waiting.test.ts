import { ulid } from "ulid";
import { expect, test } from "vitest";
import { acceptedTurn, turnResult } from "../../src/protocol/rest.ts";
import { ask, newSession, ORIGIN, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { answerInput, eventsOf, newWaiting, sessionAt, waitOn } from "./http-waiting-scene.ts";
import { contentOf, viewOf } from "./log-view.ts";
import { SocketClient } from "./session-scene.ts";

const SSE = { accept: "text/event-stream" };

test("[WAIT8] [ASK8] a wait ends when the turn waits, with what it waits for; the next one with the next wait or the end", async () => {
  const { session_id } = await newSession();
  const headers = { "idempotency-key": ulid() };
  const json = { user_input: "Say 'so', then Ask 'One?', then Ask 'Two?'" };
  const post = async () => ask("POST", `sessions/${session_id}/turns?wait=true`, { headers, json });
  const seen: string[] = [];
  for (;;) {
    // Each repeat finds the turn where it is: past waits do not end it.
    const answers = await Promise.all([post(), post()]);
    const [one, other] = await Promise.all(answers.map(async (answer) => turnResult.parse(await answer.json())));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    if (one === undefined || other === undefined) throw new Error("unreachable");
    expect({ ...one, duration_seconds: 0 }).toEqual({ ...other, duration_seconds: 0 });
    seen.push(one.status);
    const [pending] = one.pending_inputs;
    if (pending === undefined) {
      expect(one).toMatchObject({ status: "complete", response_text: "so12Done: 3 steps. (demo model)" });
      break;
    }
    expect(one.pending_inputs).toEqual([{ input_id: expect.stringMatching(/^input_/), kind: "question" }]);
    const inputId = "input_id" in pending ? pending.input_id : "";
    expect((await answerInput(`sessions/${session_id}`, inputId, `${seen.length}`)).status).toBe(200);
  }
  expect(seen).toEqual(["waiting", "waiting", "complete"]);
  expect(await sessionAt(`sessions/${session_id}`)).toMatchObject({ status: "idle", pending_inputs: [] });
});

test("[WAIT8] [WAIT3] the wait for a turn that is queued behind one that waits goes on until its time is up", async () => {
  const { path } = await newWaiting({}, "Ask 'Q'");
  const response = await ask("POST", `${path}/turns?wait=1`, { json: { user_input: "Say 'x'" } });
  expect(response.status).toBe(202);
  expect(acceptedTurn.parse(await response.json()).status).toBe("queued");
});

test("[SSE4] [ASK8] the stream of a turn goes on over its waits and ends with it", async () => {
  const { session_id } = await newSession({ json: { permissions: { "*": "ask" } } });
  const path = `sessions/${session_id}`;
  const json = { user_input: "Write 'a' to a.txt, then List ." };
  const stream = new SseClient(await ask("POST", `${path}/turns`, { headers: SSE, json }));
  const answered = new Set<string>();
  while (await stream.until(({ type, data }) => type === "AUTH_REQUIRED" && !answered.has(data.input_id))) {
    for (const { type, data } of stream.events) {
      if (type !== "AUTH_REQUIRED" || answered.has(data.input_id)) continue;
      answered.add(data.input_id);
      await (await answerInput(path, data.input_id, "allow")).text();
    }
  }
  expect(answered.size).toBe(2);
  expect(stream.events.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete", tool_calls: 2 } });
  expect(viewOf(stream.events).content).toEqual(contentOf(await eventsOf(path)));
});

/** A socket over the gateway's front. */
async function open(path: string, token = "ann"): Promise<SocketClient> {
  const { webSocket } = await ask("GET", `${path}/stream?after=0`, {
    token,
    headers: { upgrade: "websocket", origin: ORIGIN },
  });
  if (webSocket === null) throw new Error("There is no socket.");
  return new SocketClient(webSocket);
}

test("[WS5] [WS20] [ASK19] over a socket: a turn waits, is answered, and is complete at its end alone", async () => {
  const tools = [{ name: "scan", description: "Scans.", input_schema: { type: "object" } }];
  const { session_id } = await newSession({ json: { permissions: { write: "ask" }, tools } });
  const socket = await open(`sessions/${session_id}`);
  const user_input = "At once: Write 'a' to a.txt & Ask 'Q' & Call scan with {}";
  socket.send({ type: "execute", data: { user_input }, id: "go" });
  const waiting = await socket.until(({ type, data }) => type === "STATUS" && data.status === "waiting");
  if (waiting.type !== "STATUS" || waiting.data.status !== "waiting") throw new Error("unreachable");
  expect(socket.controls.map(({ type }) => type)).toEqual(["connected", "accepted"]);
  const [approval = "", question = ""] = waiting.data.input_ids;
  const [call = ""] = waiting.data.tool_use_ids ?? [];

  const other = await open(`sessions/${session_id}`);
  const refused: [string, unknown, string][] = [
    ["input_response", { input_id: "x", response: "allow" }, "not_found"],
    ["input_response", { input_id: `input_${ulid()}`, response: "allow" }, "not_found"],
    ["input_response", { input_id: approval, response: "maybe" }, "invalid_request"],
    ["input_response", { input_id: approval }, "invalid_request"],
    ["tool_result", { tool_use_id: "x", content: "" }, "not_found"],
    ["tool_result", { tool_use_id: call, content: 1 }, "invalid_request"],
  ];
  for (const [i, [type, data, code]] of refused.entries()) {
    other.send({ type, data, id: i });
    expect((await other.control("error", i)).data.code).toBe(code);
  }
  for (const response of ["allow", "allow"]) {
    other.send({ type: "input_response", data: { input_id: approval, response }, id: "same" });
  }
  other.send({ type: "input_response", data: { input_id: approval, response: "deny" }, id: "late" });
  expect((await other.control("error", "late")).data.code).toBe("already_answered");
  other.send({ type: "input_response", data: { input_id: question, response: "yes" } });
  other.send({ type: "tool_result", data: { tool_use_id: call, content: "scanned" } });
  expect((await socket.control("query_complete", "go")).data).toMatchObject({
    status: "complete",
    response_text: "yesDone: 1 steps. (demo model)",
    pending_inputs: [],
  });
  expect(other.controls.filter((frame) => frame.type === "error" && frame.id === "same")).toEqual([]);
  await other.until(({ type }) => type === "ITERATION_END");
  expect(viewOf(other.events).content).toEqual(viewOf(socket.events).content);
});

test("[WS20] [ASK19] frames need the scopes of their routes, and strangers have no session to send them to", async () => {
  const { path, inputId } = await newWaiting({ permissions: { write: "ask" } }, "Write 'a' to a.txt");
  const reader = await open(path, "ann-read");
  reader.send({ type: "input_response", data: { input_id: inputId, response: "allow" }, id: 1 });
  reader.send({ type: "tool_result", data: { tool_use_id: "toolu_demo_1", content: "" }, id: 2 });
  for (const id of [1, 2]) expect((await reader.control("error", id)).data.code).toBe("forbidden");
  const stranger = await ask("GET", `${path}/stream`, { token: "bob", headers: { upgrade: "websocket" } });
  expect(stranger.status).toBe(404);
  expect((await sessionAt(path)).status).toBe("waiting");
});

test("[WAIT7] [ASK14] a message that steers a waiting turn waits with it and joins it after the answer", async () => {
  const { session_id, path, inputId, result } = await newWaiting({}, "Ask 'Q', then Say 'never'");
  const json = { user_input: "Say 'steered'", on_busy: "steer" };
  const steered = turnResult.parse(await (await ask("POST", `${path}/turns?wait=true`, { json })).json());
  expect(steered).toMatchObject({ turn_id: result.turn_id, status: "waiting" });
  await (await answerInput(path, inputId, "ok")).text();
  const next = await waitOn(session_id, "Say 'next'");
  expect(next.response_text).toBe("next");
  const ended = await (await ask("GET", `${path}/turns/${result.turn_id}`)).json();
  expect(ended).toMatchObject({ status: "complete", response_text: "steered" });
  expect(await submit(session_id, "Say 'x'")).toMatchObject({ status: "running" });
});
