import { ulid } from "ulid";
import { expect, test } from "vitest";
import { turnResult } from "../../src/protocol/rest.ts";
import { type Asked, ask, newSession, read } from "./http-scene.ts";

const upgrade = { upgrade: "websocket" };
const sse = { accept: "text/event-stream" };

type Ids = { turn: string; input: string; call: string };

/** Every route under a session, well asked and badly; the ids are those of that session. */
const requests = ({ turn, input, call }: Ids): [string, string, Asked?][] => [
  ["GET", ""],
  ["HEAD", ""],
  ["GET", "?unknown=1"],
  ["PATCH", "", { json: { title: "mine now" } }],
  ["PATCH", "", { json: { nope: 1 } }],
  ["PATCH", "", { body: "{" }],
  ["DELETE", ""],
  ["PUT", ""],
  ["POST", "/turns", { json: { user_input: "Say 'x'" } }],
  ["POST", "/turns", { json: { user_input: "Say 'x'" }, headers: { "idempotency-key": "k" } }],
  ["POST", "/turns", { json: { user_input: "Say 'x'" }, headers: sse }],
  ["POST", "/turns?wait=true", { json: { user_input: "Say 'x'" } }],
  ["POST", "/turns", { json: { user_input: " " } }],
  ["POST", "/turns", { json: { user_input: 1 } }],
  ["POST", "/turns", { body: "[".repeat(100) }],
  ["GET", "/turns"],
  ["GET", "/turns?limit=0"],
  ["GET", "/turns?cursor=x"],
  ["GET", `/turns/${turn}`],
  ["GET", `/turns/turn_${ulid()}`],
  ["GET", "/turns/x"],
  ["DELETE", `/turns/${turn}`],
  ["DELETE", "/turns/x"],
  ["POST", "/cancel"],
  ["POST", "/cancel", { json: { x: 1 } }],
  ["GET", "/events"],
  ["GET", "/events?after=1"],
  ["GET", "/events?after=999"],
  ["GET", "/events?after=x"],
  ["GET", "/events?types=TEXT", { headers: sse }],
  ["GET", "/events", { headers: sse }],
  ["GET", "/events", { headers: { ...sse, "last-event-id": "999" } }],
  ["GET", "/stream"],
  ["GET", "/stream", { headers: upgrade }],
  ["GET", "/stream?after=1", { headers: upgrade }],
  ["GET", "/stream?after=999", { headers: upgrade }],
  ["GET", "/stream?after=x", { headers: upgrade }],
  ["GET", "/stream", { headers: { ...upgrade, origin: "https://elsewhere.test" } }],
  ["GET", "/files"],
  ["GET", "/files?prefix=a&limit=1"],
  ["GET", "/files?cursor=x"],
  ["GET", "/files/work_products/a.txt"],
  ["GET", "/files/work_products/a.txt", { headers: { range: "bytes=0-1", "if-none-match": "*" } }],
  ["HEAD", "/files/work_products/a.txt"],
  ["GET", "/files/missing.txt"],
  ["GET", "/files/"],
  ["GET", "/files/..%2f..%2fx"],
  ["GET", "/files/%ff"],
  ["GET", "/files/a.txt", { headers: { "if-match": "nonsense" } }],
  ["PUT", "/files/work_products/a.txt", { body: "mine now" }],
  ["PUT", "/files/new.txt", { body: "mine now", headers: { "if-none-match": "*" } }],
  ["PUT", "/files/new.txt", { body: "mine now", headers: { "if-match": '"x"' } }],
  ["PUT", "/files/~x", { body: "mine now" }],
  ["PUT", "/files/new.txt", { body: "x", headers: { "content-length": "99999999999" } }],
  ["DELETE", "/files/work_products/a.txt"],
  ["DELETE", "/files/missing.txt", { headers: { "if-match": "*" } }],
  ["GET", `/inputs/${input}`],
  ["GET", `/inputs/input_${ulid()}`],
  ["GET", "/inputs/x"],
  ["POST", `/inputs/${input}`, { json: { response: "allow" } }],
  ["POST", `/inputs/${input}`, { json: { response: "maybe" } }],
  ["POST", `/inputs/${input}`, { json: { answer: "allow" } }],
  ["POST", "/inputs/x", { json: { response: "allow" } }],
  ["POST", `/inputs/${input}/link`],
  ["POST", `/inputs/${input}/link`, { json: { expires_in_seconds: 60 } }],
  ["POST", `/inputs/${input}/link`, { json: { expires_in_seconds: 0 } }],
  ["POST", "/inputs/x/link"],
  ["POST", `/tool_results/${call}`, { json: { content: "x" } }],
  ["POST", `/tool_results/${call}`, { json: { text: "x" } }],
  ["POST", "/tool_results/x", { json: { content: "x" } }],
  ["POST", "/tickets", { json: {} }],
];

/** A session with a file, whose turn waits for an approval and for a client's tool. */
async function annsSession() {
  const tools = [{ name: "scan", description: "Scans.", input_schema: { type: "object" } }];
  const { session_id } = await newSession({ json: { permissions: { delete: "ask" }, tools } });
  const file = "work_products/a.txt";
  const user_input = `Write 'hello' to ${file}, then At once: Call scan with {} & Delete ${file}`;
  const waiting = await ask("POST", `sessions/${session_id}/turns?wait=true`, { json: { user_input } });
  const { turn_id, status, pending_inputs } = turnResult.parse(await waiting.json());
  expect(status).toBe("waiting");
  const [scan, approval] = pending_inputs;
  if (scan?.kind !== "tool" || approval?.kind !== "approval") throw new Error("It does not wait as it should.");
  return { session_id, ids: { turn: turn_id, input: approval.input_id, call: scan.tool_use_id } };
}

test("[AUTH3] a stranger's answer is byte for byte that for a session that does not exist, on every route", async () => {
  const { session_id, ids } = await annsSession();
  const before = await read(await ask("GET", `sessions/${session_id}/events?limit=1`, { token: "ann" }));
  expect(before.status).toBe(200);
  const nobodys = `session_${ulid()}`;
  for (const [method, path, asked] of requests(ids)) {
    const answers = await Promise.all(
      [session_id, nobodys].map(async (id) =>
        read(await ask(method, `sessions/${id}${path}`, { ...asked, token: "bob" })),
      ),
    );
    expect([method, path, answers[0]]).toEqual([method, path, answers[1]]);
    expect([method, path, answers[0]?.status]).toEqual([method, path, expect.toSatisfy((status) => status >= 400)]);
  }
});

test("[AUTH3] nothing that a stranger asked has changed anything", async () => {
  const { session_id, ids } = await annsSession();
  const look = async (path: string) => {
    const { body, ...rest } = await read(await ask("GET", `sessions/${session_id}${path}`, { token: "ann" }));
    // A turn that waits has no end yet.
    return { ...rest, body: body.replace(/"duration_seconds":[0-9.]+(?=,"cursor")/, "") };
  };
  const paths = ["", "/turns", "/events?limit=1000", "/files", "/files/work_products/a.txt"];
  const before = await Promise.all(paths.map(look));
  for (const [method, path, asked] of requests(ids)) {
    await read(await ask(method, `sessions/${session_id}${path}`, { ...asked, token: "bob" }));
  }
  expect(await Promise.all(paths.map(look))).toEqual(before);
});

test("[AUTH3] another's session is not listed, and cannot be started from", async () => {
  const { session_id, workspace_dir } = await newSession({ token: "ann" });
  const listed = await read(await ask("GET", "sessions?limit=200", { token: "bob" }));
  expect(listed.body).not.toContain(session_id);
  const nobodys = `sessions/session_${ulid()}`;
  const started = await Promise.all(
    [workspace_dir, nobodys].map(async (dir) =>
      read(await ask("POST", "sessions", { token: "bob", json: { workspace_dir: dir } })),
    ),
  );
  expect(started[0]).toEqual(started[1]);
  expect(started[0]?.status).toBe(400);
});

test("[AUTH4] an admin sees and uses every session", async () => {
  const { session_id } = await newSession({ token: "ann" });
  const token = "test-admin-token";
  expect((await read(await ask("GET", `sessions/${session_id}`, { token }))).status).toBe(200);
  const json = { user_input: "Say 'x'" };
  const ran = await ask("POST", `sessions/${session_id}/turns?wait=true`, { token, json });
  expect(await ran.json()).toMatchObject({ status: "complete" });
  const listed = await read(await ask("GET", "sessions?user_id=ann&limit=200", { token }));
  expect(listed.body).toContain(session_id);
});
