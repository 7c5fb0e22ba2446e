import { ulid } from "ulid";
import { expect, test } from "vitest";
import { session, sessionPage } from "../../src/protocol/rest.ts";
import { ADMIN_TOKEN, ask, codeOf, newSession, read, submit } from "./http-scene.ts";

const keyed = (key: string, json: unknown, token = "ann") =>
  ask("POST", "sessions", { token, json, headers: { "idempotency-key": key } });

test("[SESSION2] a created session has what was asked for, and a Location", async () => {
  const json = {
    title: "Größe \ud800",
    model: "demo",
    metadata: { a: [1, null] },
    system: "be brief",
    max_iterations: 3,
  };
  const response = await ask("POST", "sessions", { json });
  expect(response.status).toBe(201);
  const created = session.parse(await response.json());
  expect(response.headers.get("location")).toBe(`/api/v1/sessions/${created.session_id}`);
  expect(created).toMatchObject({
    user_id: "ann",
    title: "Größe \ufffd",
    model: "demo",
    metadata: { a: [1, null] },
    status: "idle",
    workspace_dir: `sessions/${created.session_id}`,
    last_seq: 0,
  });
  const described = await ask("GET", `sessions/${created.session_id}`);
  expect(await described.json()).toEqual(created);
});

test("[SESSION6] only an admin creates and lists for another user", async () => {
  expect(await codeOf(await ask("POST", "sessions", { json: { user_id: "bob" } }))).toBe("forbidden");
  expect(await codeOf(await ask("GET", "sessions?user_id=bob"))).toBe("forbidden");
  expect(await newSession({ json: { user_id: "ann" } })).toMatchObject({ user_id: "ann" });
  const bobs = await newSession({ token: ADMIN_TOKEN, json: { user_id: "bob" } });
  expect(bobs).toMatchObject({ user_id: "bob" });
  expect((await read(await ask("GET", `sessions/${bobs.session_id}`, { token: "bob" }))).status).toBe(200);
});

test("[SESSION8] a session starts with the files of another of the same user", async () => {
  const source = await newSession();
  await read(await ask("PUT", `sessions/${source.session_id}/files/a.txt`, { body: "from the first" }));
  const copy = await newSession({ json: { workspace_dir: source.workspace_dir } });
  expect(copy.workspace_dir).toBe(`sessions/${copy.session_id}`);
  expect(await (await ask("GET", `sessions/${copy.session_id}/files/a.txt`)).text()).toBe("from the first");
});

test("[SESSION9] any other workspace_dir is path_refused", async () => {
  const dirs = ["", "/", "/tmp", "sessions", "sessions/", "sessions/x", "../sessions/x", `session_${ulid()}`];
  for (const workspace_dir of [...dirs, `sessions/session_${ulid()}`, `sessions/session_${ulid()}/..`, "sessions/\n"]) {
    const response = await ask("POST", "sessions", { json: { workspace_dir } });
    expect([workspace_dir, await codeOf(response)]).toEqual([workspace_dir, "path_refused"]);
  }
});

test("[SESSION10] PATCH changes what it names and answers with the session", async () => {
  const { session_id } = await newSession({ json: { title: "old", metadata: { a: 1 } } });
  const patched = await ask("PATCH", `sessions/${session_id}`, { json: { title: null, metadata: { b: 2 } } });
  expect(await patched.json()).toMatchObject({ session_id, title: null, metadata: { b: 2 } });
  expect((await read(await ask("PATCH", `sessions/${session_id}`, { json: {} }))).status).toBe(200);
});

test("[SESSION12] [SESSION13] a session is listed from its creation on, until it is deleted; then it is gone", async () => {
  const title = ulid();
  const { session_id } = await newSession({ json: { title } });
  const listed = async () => sessionPage.parse(await (await ask("GET", `sessions?q=${title}`)).json()).sessions;
  expect((await listed()).map((each) => each.session_id)).toEqual([session_id]);
  expect(await read(await ask("DELETE", `sessions/${session_id}`))).toMatchObject({ status: 204, body: "" });
  expect(await listed()).toEqual([]);
  for (const method of ["GET", "DELETE"]) {
    expect(await codeOf(await ask(method, `sessions/${session_id}`))).toBe("not_found");
  }
});

test("[IDEM1] a repeat of a creation gets the same session, whatever the order of its keys", async () => {
  const key = ulid();
  const first = await keyed(key, { title: "once", metadata: { a: 1, b: 2 } });
  const repeat = await keyed(key, { metadata: { b: 2, a: 1 }, title: "once" });
  expect(repeat.status).toBe(201);
  expect(repeat.headers.get("location")).toBe(first.headers.get("location"));
  expect(await repeat.json()).toEqual(await first.json());
});

test("[IDEM1] a repeat of a creation gets the first answer again, whatever became of the session", async () => {
  const key = ulid();
  const source = await newSession();
  await read(await ask("PUT", `sessions/${source.session_id}/files/a.txt`, { body: "a" }));
  const body = { title: "once", metadata: { a: 1 }, workspace_dir: source.workspace_dir };
  const first: unknown = await (await keyed(key, body)).json();
  const { session_id } = session.parse(first);
  const change = { title: "other", metadata: {}, model: "demo-2" };
  await read(await ask("PATCH", `sessions/${session_id}`, { json: change }));
  await submit(session_id, "Wait 60 seconds");
  await submit(session_id, "Say 'queued'");
  expect(await (await keyed(key, body)).json()).toEqual(first);
  await read(await ask("DELETE", `sessions/${session_id}`));
});

test("[IDEM3] [IDEM5] a repeat with another body is refused; another user's key is another key", async () => {
  const key = ulid();
  const mine = session.parse(await (await keyed(key, { title: "mine" })).json());
  expect(await codeOf(await keyed(key, { title: "other" }))).toBe("idempotency_key_reused");
  const bobs = session.parse(await (await keyed(key, { title: "other" }, "bob")).json());
  expect(bobs.session_id).not.toBe(mine.session_id);
});

test("[IDEM4] a creation that was refused leaves its key free", async () => {
  const key = ulid();
  expect(await codeOf(await keyed(key, { workspace_dir: `sessions/session_${ulid()}` }))).toBe("path_refused");
  expect((await keyed(key, { title: "now" })).status).toBe(201);
});

test("[IDEM7] creations that race each other under one key make one session", async () => {
  const key = ulid();
  const answers = await Promise.all(Array.from({ length: 5 }, () => keyed(key, { title: key })));
  const ids = await Promise.all(answers.map(async (answer) => session.parse(await answer.json()).session_id));
  expect(new Set(ids).size).toBe(1);
});

test("[SESSION13] the key of a session that was deleted never brings it back", async () => {
  const key = ulid();
  const { session_id } = session.parse(await (await keyed(key, {})).json());
  await read(await ask("DELETE", `sessions/${session_id}`));
  expect(await codeOf(await keyed(key, {}))).toBe("not_found");
});
