import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { describe, expect, onTestFinished, test } from "vitest";
import { answeredInput, takenToolResult } from "../../src/protocol/inputs.ts";
import { INPUT_TIMEOUT_SECONDS, TOOL_RESULT_MAX_CHARS } from "../../src/protocol/limits.ts";
import { spacePrefix } from "../../src/workspace/space-blobs.ts";
import { ADMIN_TOKEN, ask, codeOf, newSession, read, submit } from "./http-scene.ts";
import {
  answerInput,
  eventsOf,
  inputOf,
  namesOf,
  newLink,
  newWaiting,
  sessionAt,
  waitOn,
} from "./http-waiting-scene.ts";
import { killObject } from "./kill-object.ts";
import { useClock } from "./platform.ts";
import { ADMIN, openSocket, unwrap } from "./session-scene.ts";

const WRITE = "Write 'new' to a.txt";
const ASKING = { permissions: { write: "ask" } };
const SCAN = { name: "scan", description: "Scans a page.", input_schema: { type: "object" }, timeout_seconds: 600 };

const stubOf = (sessionId: string) => env.SESSIONS.getByName(sessionId);
const alarmOf = (sessionId: string) => runInDurableObject(stubOf(sessionId), (_, { storage }) => storage.getAlarm());
const contentOf = async (path: string, file: string) => (await ask("GET", `${path}/files/${file}`)).text();

/** What the next turn finds when the one before it has ended. */
const untilIdle = (sessionId: string) => waitOn(sessionId, "Say 'next'");

test("[ASK18] [ASK7] an input says what is asked, until when, and what it comes to", async () => {
  const { path, inputId, result } = await newWaiting(ASKING, WRITE);
  const asked = (await eventsOf(path)).find(({ type }) => type === "AUTH_REQUIRED");
  const shown = await inputOf(path, inputId);
  expect(shown).toEqual({
    input_id: inputId,
    turn_id: result.turn_id,
    kind: "approval",
    message: "Allow write a.txt?",
    tool_use_id: "toolu_demo_1",
    tool: "write",
    tool_input: { path: "a.txt", content: "new", mode: "overwrite" },
    expires_at: expect.any(String),
    default: "deny",
    status: "pending",
    response: null,
  });
  const { expires_at, message } = shown;
  expect(asked?.data).toMatchObject({ input_id: inputId, kind: "approval", message, expires_at, default: "deny" });
  const left = Date.parse(expires_at) - Date.parse(asked?.timestamp ?? "");
  expect(left / 1_000).toBeGreaterThan(INPUT_TIMEOUT_SECONDS - 10);
  expect(left / 1_000).toBeLessThanOrEqual(INPUT_TIMEOUT_SECONDS);
  expect(await read(await ask("HEAD", `${path}/inputs/${inputId}`))).toMatchObject({ status: 200, body: "" });
});

test("[ASK11] [ASK12] [ASK19] an answer settles it for all; the same again is 200, any other 409", async () => {
  const { session_id, path, inputId, result } = await newWaiting(ASKING, WRITE);
  const answered = answeredInput.parse(await (await answerInput(path, inputId, "allow")).json());
  expect(answered).toEqual({ input_id: inputId, turn_id: result.turn_id, response: "allow" });
  await untilIdle(session_id);
  const before = await eventsOf(path);
  for (const token of ["ann", ADMIN_TOKEN]) {
    expect((await answerInput(path, inputId, "allow", { token })).status).toBe(200);
    expect(await codeOf(await answerInput(path, inputId, "deny", { token }))).toBe("already_answered");
  }
  expect(await eventsOf(path)).toEqual(before);
  expect(await contentOf(path, "a.txt")).toBe("new");
  expect(await inputOf(path, inputId)).toMatchObject({ status: "settled", response: "allow" });
});

test("[ASK19] what is no answer is refused, and it goes on waiting", async () => {
  const { path, inputId } = await newWaiting(ASKING, WRITE);
  const at = (json: unknown, id = inputId) => ask("POST", `${path}/inputs/${id}`, { json }).then(codeOf);
  for (const json of [
    {},
    { response: true },
    { response: "allow", via: "link" },
    { response: "Allow" },
    { response: "" },
  ]) {
    expect(await at(json)).toBe("invalid_request");
  }
  for (const id of ["x", `input_${ulid()}`, "__proto__", "%00", "a".repeat(3_000)]) {
    expect(await at({ response: "allow" }, id)).toBe("not_found");
    expect(await codeOf(await ask("GET", `${path}/inputs/${id}`))).toBe("not_found");
    expect(await codeOf(await ask("POST", `${path}/tool_results/${id}`, { json: { content: "" } }))).toBe("not_found");
  }
  expect(await codeOf(await answerInput(path, inputId, "allow", { token: "ann-write" }))).toBe("forbidden");
  expect(await codeOf(await answerInput(path, inputId, "allow", { token: "ann-read" }))).toBe("forbidden");
  expect(await codeOf(await answerInput(path, inputId, "allow", { token: "bob" }))).toBe("not_found");
  expect((await sessionAt(path)).status).toBe("waiting");
});

describe.each([
  ["slept", (sessionId: string) => evictDurableObject(stubOf(sessionId), { webSockets: "close" })],
  ["was killed", killObject],
])("while its object %s", (_, lose) => {
  test("[ASK10] a turn waits as before, and an answer lets it go on", async () => {
    const settings = { ...ASKING, tools: [SCAN] };
    const { session_id, path, inputIds, toolUseIds } = await newWaiting(
      settings,
      `At once: ${WRITE} & Ask 'Q' & Call scan with {}`,
    );
    const before = { session: await sessionAt(path), events: await eventsOf(path) };
    for (let i = 0; i < 3; i++) {
      await lose(session_id);
      expect({ session: await sessionAt(path), events: await eventsOf(path) }).toEqual(before);
    }
    const [approval = "", question = ""] = inputIds;
    await lose(session_id);
    expect((await answerInput(path, approval, "allow")).status).toBe(200);
    await lose(session_id);
    expect((await answerInput(path, question, "yes")).status).toBe(200);
    await lose(session_id);
    const json = { content: "scanned" };
    expect((await ask("POST", `${path}/tool_results/${toolUseIds[0]}`, { json })).status).toBe(200);
    await untilIdle(session_id);
    expect(await contentOf(path, "a.txt")).toBe("new");
    const events = await eventsOf(path);
    const previews = events.flatMap(({ type, data }) => (type === "TOOL_RESULT" ? [data.content_preview] : []));
    expect(previews.slice(1)).toEqual(["yes", "scanned"]);
    expect(namesOf(events)).not.toContain("resumed");
  });
});

test("[ASK10] [ASK13] a session that waits has no alarm but the deadline's, which settles it by its default", async () => {
  const clock = useClock();
  const timeout = 3_600;
  const { session_id, path, inputIds } = await newWaiting(
    { ...ASKING, input_timeout_seconds: timeout, tools: [SCAN] },
    `At once: ${WRITE} & Ask 'Q' & Call scan with {}`,
  );
  const deadline = Date.parse((await inputOf(path, inputIds[0] ?? "")).expires_at);
  // The heartbeat that was set while it ran goes off once more, and then sleeps until something is due.
  await runDurableObjectAlarm(stubOf(session_id));
  const before = await eventsOf(path);
  const scanDeadline = await alarmOf(session_id);
  expect(scanDeadline).toBeLessThanOrEqual(Date.now() + 600_000);
  expect(scanDeadline).toBeGreaterThan(Date.now() + 500_000);
  await evictDurableObject(stubOf(session_id));
  clock.putForward(600_000);
  await runDurableObjectAlarm(stubOf(session_id));
  // Settling something asks for one more look, for the list of sessions.
  await runDurableObjectAlarm(stubOf(session_id));
  expect(await alarmOf(session_id)).toBe(deadline);
  expect((await sessionAt(path)).pending_inputs).toHaveLength(2);
  await evictDurableObject(stubOf(session_id));
  clock.putForward((timeout - 600) * 1_000);
  expect(await runDurableObjectAlarm(stubOf(session_id))).toBe(true);
  await untilIdle(session_id);
  const after = (await eventsOf(path)).slice(before.length);
  const answered = after.flatMap(({ type, data }) => (type === "STATUS" && data.status === "answered" ? [data] : []));
  expect(answered).toEqual([
    { status: "answered", input_id: inputIds[0], response: "deny", user_id: null, via: "deadline" },
    { status: "answered", input_id: inputIds[1], response: null, user_id: null, via: "deadline" },
  ]);
  const results = after.flatMap(({ type, data }) => (type === "TOOL_RESULT" ? [data] : []));
  expect(results.map(({ is_error }) => is_error)).toEqual([true, true, true]);
  expect((await ask("GET", `${path}/files/a.txt`)).status).toBe(404);
  expect(await codeOf(await answerInput(path, inputIds[0] ?? "", "allow"))).toBe("already_answered");
  expect((await answerInput(path, inputIds[0] ?? "", "deny")).status).toBe(200);
});

test("[ASK13] [ASK4] an admin may say that nobody's answer allows; others may not loosen anything", async () => {
  const clock = useClock();
  const loose = { ...ASKING, input_default: "allow", input_timeout_seconds: 60 };
  expect(await codeOf(await ask("POST", "sessions", { json: loose }))).toBe("forbidden");
  const gateway = { env: { GATEWAY_PERMISSIONS: '{"write":"ask","delete":"deny"}' } };
  for (const permissions of [{ write: "allow" }, { delete: "ask" }, { "*": "allow" }]) {
    const said = { permissions, loosen_permissions: true };
    expect(await codeOf(await ask("POST", "sessions", { json: { permissions }, ...gateway }))).toBe("forbidden");
    expect(await codeOf(await ask("POST", "sessions", { json: said, ...gateway }))).toBe("forbidden");
    const admin = { ...gateway, token: ADMIN_TOKEN };
    expect(await codeOf(await ask("POST", "sessions", { json: { permissions }, ...admin }))).toBe("forbidden");
    expect((await ask("POST", "sessions", { json: said, ...admin })).status).toBe(201);
  }
  expect((await ask("POST", "sessions", { json: { permissions: { write: "deny" } }, ...gateway })).status).toBe(201);

  const { session_id } = await newSession({ json: ASKING });
  const patched = await ask("PATCH", `sessions/${session_id}`, { json: { input_default: "allow" } });
  expect(await codeOf(patched)).toBe("forbidden");
  const { path, inputId, ...waiting } = await newWaiting({ ...loose, loosen_permissions: true }, WRITE, {
    token: ADMIN_TOKEN,
  });
  const token = ADMIN_TOKEN;
  clock.putForward(60_000);
  await runDurableObjectAlarm(stubOf(waiting.session_id));
  await waitOn(waiting.session_id, "Say 'next'", { token });
  expect(await (await ask("GET", `${path}/files/a.txt`, { token })).text()).toBe("new");
  expect(await (await ask("GET", `${path}/inputs/${inputId}`, { token })).json()).toMatchObject({ response: "allow" });
});

test("[ASK9] with write: ask nothing lies in the workspace or in storage before the answer", async () => {
  const { session_id } = await newSession({ json: ASKING });
  const path = `sessions/${session_id}`;
  const { space_id } = unwrap(await stubOf(session_id).space(ADMIN));
  const blobs = async () => (await env.BLOBS.list({ prefix: spacePrefix(space_id) })).objects.length;
  const files = async () => (await ask("GET", `${path}/files`)).json();
  const calls = ["Read a.txt", WRITE, "Append 'x' to a.txt", "Replace 'n' with 'm' in a.txt", "List .", "Delete b.txt"];
  const { pending_inputs } = await waitOn(session_id, `At once: ${calls.join(" & ")}`);
  const [first = "", ...others] = pending_inputs.flatMap((one) => ("input_id" in one ? [one.input_id] : []));
  expect(others).toHaveLength(3);
  expect([await blobs(), await files()]).toEqual([0, { files: [], next_cursor: null }]);
  await read(await answerInput(path, first, "allow"));
  // The first call may run now; those behind it wait for their own answers.
  const socket = await openSocket(stubOf(session_id), ADMIN, { after: "0" });
  await socket.until(({ type, data }) => type === "TOOL_RESULT" && data.tool_use_id === "toolu_demo_2");
  for (const inputId of others) {
    expect([await blobs(), await contentOf(path, "a.txt")]).toEqual([1, "new"]);
    await read(await answerInput(path, inputId, "deny"));
  }
  await socket.until(({ type }) => type === "ITERATION_END");
  expect(await contentOf(path, "a.txt")).toBe("new");
  expect(await blobs()).toBe(1);
});

test("[ASK14] [ASK12] a cancel of a turn that waits ends it, and nothing can be answered any more", async () => {
  const { path, inputId, toolUseIds, result } = await newWaiting(
    { ...ASKING, tools: [SCAN] },
    `At once: ${WRITE} & Call scan with {}`,
  );
  expect(await (await ask("POST", `${path}/cancel`)).json()).toEqual({ turn_id: result.turn_id });
  const turn = await (await ask("GET", `${path}/turns/${result.turn_id}`)).json();
  expect(turn).toMatchObject({ status: "cancelled", pending_inputs: [] });
  expect(await inputOf(path, inputId)).toMatchObject({ status: "settled", response: null });
  const before = await eventsOf(path);
  expect(await codeOf(await answerInput(path, inputId, "allow"))).toBe("already_answered");
  const json = { content: "late" };
  expect(await codeOf(await ask("POST", `${path}/tool_results/${toolUseIds[0]}`, { json }))).toBe("already_answered");
  expect(await codeOf(await ask("POST", `${path}/inputs/${inputId}/link`))).toBe("already_answered");
  expect(await eventsOf(path)).toEqual(before);
  expect(await sessionAt(path)).toMatchObject({ status: "idle", pending_inputs: [] });
});

test("[ASK14] an interrupt ends a turn that waits, and its message runs", async () => {
  const { session_id, path, inputId, result } = await newWaiting(ASKING, WRITE);
  await submit(session_id, "Say 'queued'");
  const json = { user_input: "Say 'instead'", on_busy: "interrupt" };
  expect(await (await ask("POST", `${path}/turns?wait=true`, { json })).json()).toMatchObject({
    status: "complete",
    response_text: "instead",
  });
  expect(await (await ask("GET", `${path}/turns/${result.turn_id}`)).json()).toMatchObject({ status: "cancelled" });
  expect((await inputOf(path, inputId)).status).toBe("settled");
});

test("[SESSION13] [SESSION14] a session that waits can be deleted, and what was asked is gone with it", async () => {
  const { session_id, path, inputId } = await newWaiting(ASKING, WRITE);
  const { url } = await newLink(path, inputId);
  const socket = await openSocket(stubOf(session_id), ADMIN, { after: "0" });
  expect((await read(await ask("DELETE", path))).status).toBe(204);
  expect((await socket.untilClosed()).code).toBe(4010);
  for (const id of [inputId, `input_${ulid()}`]) {
    expect(await codeOf(await ask("GET", `${path}/inputs/${id}`))).toBe("not_found");
    expect(await codeOf(await answerInput(path, id, "allow"))).toBe("not_found");
  }
  const body = new URLSearchParams({ response: "allow" });
  expect((await ask("POST", new URL(url).pathname, { token: null, body })).status).toBe(404);
});

test("[ASK16] [ASK17] a client's tool: its call waits, and its result is taken once", async () => {
  const { session_id, path, result, toolUseIds } = await newWaiting(
    { tools: [SCAN] },
    'Call scan with {"page": 1}, then Call scan with {"page": 2}',
  );
  expect(result.pending_inputs).toEqual([{ tool_use_id: toolUseIds[0], kind: "tool" }]);
  const events = await eventsOf(path);
  expect(events.find(({ type }) => type === "TOOL_CALL")?.data).toMatchObject({ name: "scan", executor: "client" });
  const give = (id: string | undefined, json: unknown, token = "ann") =>
    ask("POST", `${path}/tool_results/${id}`, { json, token });
  const [first] = toolUseIds;
  for (const json of [{}, { content: 1 }, { content: "x", is_error: 1 }, { content: "x", more: 1 }]) {
    expect(await codeOf(await give(first, json))).toBe("invalid_request");
  }
  const long = { content: "x".repeat(TOOL_RESULT_MAX_CHARS + 1) };
  expect(await codeOf(await give(first, long))).toBe("invalid_request");
  expect(await codeOf(await give(first, { content: "x" }, "ann-approve"))).toBe("forbidden");
  expect(await codeOf(await give(first, { content: "x" }, "bob"))).toBe("not_found");

  const taken = takenToolResult.parse(await (await give(first, { content: "page one" })).json());
  expect(taken).toEqual({ tool_use_id: first, turn_id: result.turn_id });
  expect((await give(first, { content: "page one" })).status).toBe(200);
  expect((await give(first, { content: "page one", is_error: false })).status).toBe(200);
  expect(await codeOf(await give(first, { content: "page one", is_error: true }))).toBe("already_answered");
  expect(await codeOf(await give(first, { content: "another" }))).toBe("already_answered");
  const socket = await openSocket(stubOf(session_id), ADMIN, { after: "0" });
  await socket.until(({ type, data }) => type === "TOOL_CALL" && data.id === "toolu_demo_2");
  expect((await give("toolu_demo_2", { content: "no such page", is_error: true })).status).toBe(200);
  await socket.until(({ type }) => type === "ITERATION_END");
  const results = (await eventsOf(path)).flatMap(({ type, data }) => (type === "TOOL_RESULT" ? [data] : []));
  expect(results).toMatchObject([
    { content_preview: "page one", is_error: false },
    { content_preview: "no such page", is_error: true },
  ]);
});

test("[ASK17] a client's call that must be approved takes no result before", async () => {
  const { session_id, path, inputId } = await newWaiting(
    { tools: [SCAN], permissions: { scan: "ask" } },
    "Call scan with {}",
  );
  const give = () => ask("POST", `${path}/tool_results/toolu_demo_1`, { json: { content: "scanned" } });
  expect(await codeOf(await give())).toBe("session_busy");
  await read(await answerInput(path, inputId, "allow"));
  expect((await give()).status).toBe(200);
  await untilIdle(session_id);
  expect((await eventsOf(path)).find(({ type }) => type === "TOOL_RESULT")?.data).toMatchObject({
    content_preview: "scanned",
  });
});

test("[ASK15] [DEMO21] a question, its answer, and what the model makes of it", async () => {
  const { session_id, path, inputId, result } = await newWaiting({}, "Ask 'Which colour?', then Say ' it is'");
  expect(await inputOf(path, inputId)).toMatchObject({ kind: "question", message: "Which colour?", default: null });
  expect((await answerInput(path, inputId, "Bl\ud800ue")).status).toBe(200);
  await untilIdle(session_id);
  expect(await (await ask("GET", `${path}/turns/${result.turn_id}`)).json()).toMatchObject({
    status: "complete",
    response_text: "Bl\ufffdue it is",
  });
});

test("[WS12] [WS5] a socket whose object slept while its turn waited hears of the turn's end", async () => {
  const { session_id } = await newSession({ json: ASKING });
  const path = `sessions/${session_id}`;
  const socket = await openSocket(stubOf(session_id), ADMIN, { after: "0" });
  socket.send({ type: "execute", data: { user_input: WRITE }, id: 1 });
  const asked = await socket.until(({ type }) => type === "AUTH_REQUIRED");
  await socket.until(({ type, data }) => type === "STATUS" && data.status === "waiting");
  await evictDurableObject(stubOf(session_id));
  await read(await answerInput(path, asked.type === "AUTH_REQUIRED" ? asked.data.input_id : "", "deny"));
  expect(await socket.control("query_complete", 1)).toMatchObject({ data: { status: "complete", tool_calls: 1 } });
});

test("[REST21] [ASK10] variables that are not valid stop a session, and what is due waits until they are mended", async () => {
  const { session_id, path, inputId } = await newWaiting({ ...ASKING, input_timeout_seconds: 3_600 }, WRITE);
  await evictDurableObject(stubOf(session_id));
  Reflect.set(env, "GATEWAY_PERMISSIONS", "not json");
  onTestFinished(() => void Reflect.deleteProperty(env, "GATEWAY_PERMISSIONS"));
  // An alarm whose object cannot begin would be tried six times and then be dropped by the platform.
  for (const _ of [1, 2]) {
    expect(await runDurableObjectAlarm(stubOf(session_id))).toBe(true);
    expect(await alarmOf(session_id)).not.toBeNull();
  }
  expect(await stubOf(session_id).describe(ADMIN)).toMatchObject({ ok: false, problem: { code: "unavailable" } });
  Reflect.deleteProperty(env, "GATEWAY_PERMISSIONS");
  await evictDurableObject(stubOf(session_id));
  expect((await answerInput(path, inputId, "allow")).status).toBe(200);
  await untilIdle(session_id);
  expect(await contentOf(path, "a.txt")).toBe("new");
});
