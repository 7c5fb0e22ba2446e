import { expect, test } from "vitest";
import { problem } from "../../src/protocol/errors.ts";
import { IDEMPOTENCY_KEY_MAX_CHARS, JSON_MAX_BYTES, JSON_MAX_DEPTH } from "../../src/protocol/limits.ts";
import { type Asked, ask, codeOf, newSession } from "./http-scene.ts";

const JSON_TYPE = { "content-type": "application/json" };
const { session_id } = await newSession();

/** Every route that takes JSON. */
const BODY_ROUTES = [
  ["POST", "sessions"],
  ["PATCH", `sessions/${session_id}`],
  ["POST", `sessions/${session_id}/turns`],
  ["POST", `sessions/${session_id}/cancel`],
] as const;

async function codes(asked: Asked): Promise<(string | null)[]> {
  const answers = await Promise.all(BODY_ROUTES.map(([method, path]) => ask(method, path, asked)));
  return Promise.all(answers.map(codeOf));
}
const all = (code: string) => BODY_ROUTES.map(() => code);

test("[REST3] what is no JSON is invalid_request", async () => {
  const bodies = ["{", "", " ", "nope", "{'a': 1}", '{"a": 1,}', "\ud800", '{"a": NaN}', "[1] 2", "\u0000"];
  for (const body of bodies.filter((text) => text !== "")) {
    expect(await codes({ headers: JSON_TYPE, body })).toEqual(all("invalid_request"));
  }
  const notUtf8 = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
  expect(await codes({ headers: JSON_TYPE, body: notUtf8 })).toEqual(all("invalid_request"));
});

test("[REST3] JSON that is too large is too_large, whether or not it says its length", async () => {
  const body = `{"title": "${"x".repeat(JSON_MAX_BYTES)}"}`;
  expect(await codes({ headers: JSON_TYPE, body })).toEqual(all("too_large"));
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(0x20)),
    });
  for (const [method, path] of BODY_ROUTES) {
    expect(await codeOf(await ask(method, path, { headers: JSON_TYPE, body: endless() }))).toBe("too_large");
  }
  const claimed = { ...JSON_TYPE, "content-length": "99999999999" };
  expect(await codes({ headers: claimed, body: "{}" })).toEqual(all("too_large"));
});

test("[REST3] JSON that is nested too deep is invalid_request", async () => {
  for (const depth of [JSON_MAX_DEPTH + 1, 400_000]) {
    expect(await codes({ headers: JSON_TYPE, body: "[".repeat(depth) })).toEqual(all("invalid_request"));
    const closed = `${'{"metadata":'.repeat(Math.min(depth, 60_000))}1${"}".repeat(Math.min(depth, 60_000))}`;
    expect(await codes({ headers: JSON_TYPE, body: closed })).toEqual(all("invalid_request"));
  }
});

test("[REST4] a JSON body needs its content type; parameters of it do not matter", async () => {
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonx",
    "text/json",
    "application/hal+json",
  ];
  for (const type of [...types, "multipart/form-data; boundary=x", "nonsense", ", application/json"]) {
    expect(await codes({ headers: { "content-type": type }, body: "{}" })).toEqual(all("unsupported_media_type"));
  }
  expect(await codes({ body: new TextEncoder().encode("{}") })).toEqual(all("unsupported_media_type"));
  expect(await codes({ headers: { ...JSON_TYPE, "content-encoding": "gzip" }, body: "{}" })).toEqual(
    all("unsupported_media_type"),
  );
  for (const type of [
    "application/json; charset=utf-8",
    "Application/JSON",
    'application/json;charset="utf-8"',
    "application/json;",
  ]) {
    expect((await ask("POST", "sessions", { headers: { "content-type": type }, body: "{}" })).status).toBe(201);
  }
});

test("[REST18] a body that is absent counts as an empty object", async () => {
  expect((await ask("POST", "sessions")).status).toBe(201);
  expect((await ask("POST", "sessions", { headers: JSON_TYPE })).status).toBe(201);
  expect((await ask("POST", `sessions/${session_id}/cancel`)).status).toBe(200);
  expect(await codeOf(await ask("POST", `sessions/${session_id}/turns`))).toBe("invalid_request");
});

test("[REST2] [ERR3] wrong types and unknown fields are invalid_request, and are named", async () => {
  const bad: [string, string, unknown, string[]][] = [
    ["POST", "sessions", { titel: "x" }, [""]],
    ["POST", "sessions", { title: 1, metadata: [] }, ["metadata", "title"]],
    ["POST", "sessions", { max_iterations: "20" }, ["max_iterations"]],
    ["POST", "sessions", { max_iterations: 1.5 }, ["max_iterations"]],
    ["POST", "sessions", { model: null }, ["model"]],
    ["POST", "sessions", [], [""]],
    ["POST", "sessions", null, [""]],
    ["POST", "sessions", { permissions: { write: "maybe" } }, ["permissions.write"]],
    ["POST", "sessions", { tools: [{ name: "a b" }] }, ["tools.0.description", "tools.0.input_schema", "tools.0.name"]],
    ["POST", "sessions", { budget: { pages: 1 } }, ["budget"]],
    ["PATCH", `sessions/${session_id}`, { status: "idle" }, [""]],
    ["PATCH", `sessions/${session_id}`, { metadata: { a: 1 }, model: 5 }, ["model"]],
    ["POST", `sessions/${session_id}/turns`, {}, ["user_input"]],
    ["POST", `sessions/${session_id}/turns`, { user_input: ["x"] }, ["user_input"]],
    ["POST", `sessions/${session_id}/turns`, { user_input: "x", on_busy: "wait" }, ["on_busy"]],
    ["POST", `sessions/${session_id}/turns`, { user_input: "x", force_complex: "yes" }, ["force_complex"]],
    ["POST", `sessions/${session_id}/cancel`, { turn_id: "x" }, ["turn_id"]],
    ["POST", `sessions/${session_id}/inputs/x`, { answer: "x" }, ["", "response"]],
    ["POST", `sessions/${session_id}/inputs/x/link`, { expires_in_seconds: -1 }, ["expires_in_seconds"]],
    ["POST", `sessions/${session_id}/tool_results/x`, { content: null, is_error: 1 }, ["content", "is_error"]],
  ];
  for (const [method, path, json, paths] of bad) {
    const body = problem.parse(await (await ask(method, path, { json })).json());
    expect(body.code).toBe("invalid_request");
    expect([json, body.errors?.map((error) => error.path).sort()]).toEqual([json, paths]);
  }
});

test("[REST2] keys that mean something to JavaScript are unknown fields like others", async () => {
  for (const key of ["__proto__", "constructor", "toString"]) {
    const asked = { headers: JSON_TYPE, body: `{"${key}": {"admin": true}}` };
    expect([key, await codes(asked)]).toEqual([key, all("invalid_request")]);
  }
});

test("[REST10] input of nothing but white space is blank_input", async () => {
  for (const user_input of ["", " ", "\n\t\r", "\u00a0\u2003\ufeff"]) {
    const response = await ask("POST", `sessions/${session_id}/turns`, { json: { user_input } });
    expect(await codeOf(response)).toBe("blank_input");
  }
});

test("[REST2] [REST6] a query takes what its route names, once, and whole numbers in their range", async () => {
  const own = `sessions/${session_id}`;
  const bad = [
    "health?x=1",
    "sessions?limit=0",
    "sessions?limit=201",
    "sessions?limit=-1",
    "sessions?limit=1.0",
    "sessions?limit=1e2",
    "sessions?limit=%31%20",
    "sessions?limit=",
    "sessions?limit",
    "sessions?limit=07",
    "sessions?limit=１",
    "sessions?limit=1&limit=1",
    "sessions?limit=999999999999999999999",
    "sessions?status=done",
    "sessions?user=ann",
    "sessions?user_id=",
    `sessions?q=${"x".repeat(201)}`,
    "sessions?constructor=1",
    `${own}?verbose=1`,
    `${own}/turns?limit=201`,
    `${own}/turns?after=0`,
    `${own}/events?limit=1001`,
    `${own}/events?types=TEXT,NOPE`,
    `${own}/events?types=`,
    `${own}/events?types=text`,
    `${own}/events?cursor=0`,
    `${own}/stream?types=TEXT`,
    `${own}/files?path=x`,
    `${own}/files/a.txt?download=1`,
  ];
  for (const path of bad) expect([path, await codeOf(await ask("GET", path))]).toEqual([path, "invalid_request"]);
  for (const path of ["sessions?limit=200&q=&status=idle&user_id=ann", `${own}/events?limit=1000&types=TEXT,STATUS`]) {
    expect((await ask("GET", path)).status).toBe(200);
  }
  expect(await codeOf(await ask("POST", "sessions?dry_run=1", { json: {} }))).toBe("invalid_request");
});

test("[WAIT1] a wait is true or whole seconds up to 300", async () => {
  const json = { user_input: "Say 'x'" };
  for (const wait of ["", "false", "0", "301", "1.5", "-1", "TRUE", "true&wait=true", "1s", "Infinity"]) {
    const response = await ask("POST", `sessions/${session_id}/turns?wait=${wait}`, { json });
    expect([wait, await codeOf(response)]).toEqual([wait, "invalid_request"]);
  }
});

test("[CURSOR6] what no cursor looks like is bad_cursor, on every route that takes one", async () => {
  const own = `sessions/${session_id}`;
  for (const cursor of ["", "-1", "x", "1~", "1~2", "1~2.3.4", "01", "1.5", "9999999999999999", "1%0a", "1 ", "%00"]) {
    const paths = [`${own}/events?after=${cursor}`, `sessions?cursor=${cursor}`, `${own}/turns?cursor=${cursor}`];
    for (const path of paths) expect([path, await codeOf(await ask("GET", path))]).toEqual([path, "bad_cursor"]);
    const upgrade = { headers: { upgrade: "websocket" } };
    expect(await codeOf(await ask("GET", `${own}/stream?after=${cursor}`, upgrade))).toBe("bad_cursor");
    const accept = { headers: { accept: "text/event-stream" } };
    expect(await codeOf(await ask("GET", `${own}/events?after=${cursor}`, accept))).toBe("bad_cursor");
  }
  const lastEventId = { headers: { accept: "text/event-stream", "last-event-id": "nope" } };
  expect(await codeOf(await ask("GET", `${own}/events?after=0`, lastEventId))).toBe("bad_cursor");
  expect(await codeOf(await ask("GET", `${own}/events?after=999999`))).toBe("bad_cursor");
});

test("[IDEM6] an idempotency key is visible ASCII of a bounded length", async () => {
  for (const key of ["", "a b", "a, b", "x".repeat(IDEMPOTENCY_KEY_MAX_CHARS + 1), "a\tb"]) {
    const headers = { "idempotency-key": key };
    const turn = { headers, json: { user_input: "Say 'x'" } };
    expect([key, await codeOf(await ask("POST", "sessions", { headers, json: {} }))]).toEqual([key, "invalid_request"]);
    expect(await codeOf(await ask("POST", `sessions/${session_id}/turns`, turn))).toBe("invalid_request");
  }
});

test("[ERR5] the session goes on after everything that was refused", async () => {
  const answered = await ask("POST", `sessions/${session_id}/turns?wait=true`, { json: { user_input: "Say 'on'" } });
  expect(await answered.json()).toMatchObject({ status: "complete", response_text: "on" });
});
