import { expect, inject, test } from "vitest";
import * as z from "zod";
import { createApp } from "../../src/http/app.ts";
import { NAMED } from "../../src/http/openapi/components.ts";
import { FIELDS, SCHEMAS } from "../../src/http/openapi/descriptions.ts";
import { describeApi } from "../../src/http/openapi/document.ts";
import { EXAMPLES } from "../../src/http/openapi/examples.ts";
import { noQuery, sessionParams } from "../../src/http/parameters.ts";
import { json, operation } from "../../src/http/routes/answers.ts";
import { CLOSE_CODES } from "../../src/protocol/frames.ts";
import { scope } from "../../src/protocol/principal.ts";
import { session } from "../../src/protocol/rest.ts";
import type {} from "../support/openapi-provided.ts";
import { ask, codeOf, ORIGIN, read } from "./http-scene.ts";
import { answerOf, document, operationsOf, servedDocument, validators } from "./openapi-scene.ts";

const served = await servedDocument();
const operations = operationsOf(served);

/** Findings of the linter that do not apply. */
const EXCEPTIONS = [
  // A handshake that succeeds is answered with 101, and with nothing else.
  { ruleId: "operation-2xx-response", pointer: "#/paths/~1api~1v1~1sessions~1{session_id}~1stream/get/responses" },
  // These are named by `x-websocket`: the standard knows no place for them.
  { ruleId: "no-unused-components", pointer: "#/components/schemas/ClientFrame" },
  { ruleId: "no-unused-components", pointer: "#/components/schemas/ServerFrame" },
];

test("[OPENAPI1] the document is served to everybody, and names the address that it was asked at", async () => {
  const response = await ask("GET", "/openapi.json", { token: null });
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(served.servers.map(({ url }) => url)).toEqual([ORIGIN]);
  const { status, headers, body } = await read(await ask("HEAD", "/openapi.json"));
  expect([status, headers["x-content-type-options"], body]).toEqual([200, "nosniff", ""]);
  expect(await codeOf(await ask("GET", "/openapi.json?x=1"))).toBe("invalid_request");
});

/** The linter is loaded by this test alone, and has hundreds of files. */
const LINT_TIMEOUT_MS = 60_000;

test(
  "[OPENAPI2] the linter finds nothing in it",
  async () => {
    const response = await fetch(inject("openApiLintUrl"), { method: "POST", body: JSON.stringify(served) });
    const found = z
      .array(z.looseObject({ ruleId: z.string(), pointers: z.array(z.string()) }))
      .parse(await response.json());
    const isExcepted = (one: (typeof found)[number]) =>
      EXCEPTIONS.some(
        ({ ruleId, pointer }) => one.ruleId === ruleId && one.pointers.some((at) => at.startsWith(pointer)),
      );
    expect(found.filter((one) => !isExcepted(one))).toEqual([]);
    expect(found.filter(isExcepted)).toHaveLength(EXCEPTIONS.length);
  },
  LINT_TIMEOUT_MS,
);

test("[OPENAPI2] every route of the gateway but /docs is in it, and says all that an operation has to say", () => {
  const app = createApp({ version: "1", defaultModel: "demo" });
  // The router's patterns, and how the document spells them.
  const spelt = (path: string) =>
    path
      .replace("{.*}", "")
      .replace("/*", "/{link}")
      .replaceAll(/:([a-z_]+)/g, "{$1}");
  const routes = app.routes.filter(({ method, path }) => method !== "ALL" && path !== "/docs");
  const named = new Set(routes.map(({ method, path }) => `${method.toLowerCase()} ${spelt(path)}`));
  const described = operations.map(({ method, path }) => `${method} ${path}`);
  expect(described.filter((one) => !one.startsWith("head ")).sort()).toEqual([...named].sort());
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
});

test("[OPENAPI2] a route that says nothing of itself is found", () => {
  const request = { params: sessionParams, query: noQuery };
  const responses = { 200: json("The session", session) };
  const bare = { method: "get" as const, path: "/x", request, responses };
  const of = (route: Parameters<typeof describeApi>[0][number]) =>
    document.safeParse({ ...describeApi([route], "1"), servers: [] }).success;
  expect(of(bare)).toBe(false);
  const said = { id: "x", tag: "Gateway", summary: "An example", description: "An example.", scope: "read" } as const;
  expect(of({ ...bare, ...operation(said) })).toBe(true);
});

test("[OPENAPI3] bodies and answers in JSON have a named schema and an example that it takes", () => {
  const read = validators(served);
  let examples = 0;
  for (const { operation, path, method } of operations) {
    if (path === "/openapi.json") continue;
    const contents = [
      operation.requestBody,
      ...Object.keys(operation.responses).map((s) => answerOf(served, operation, Number(s))),
    ];
    for (const [type, { schema, example, examples: more }] of contents.flatMap((one) =>
      Object.entries(one?.content ?? {}),
    )) {
      const given =
        example === undefined
          ? z.record(z.string(), z.object({ value: z.unknown() })).parse(more)
          : { one: { value: example } };
      for (const { value } of Object.values(given)) {
        examples++;
        if (type === "application/json")
          expect([method, path, schema?.$ref]).toEqual([method, path, expect.stringMatching(/^#\/components/)]);
        if (schema !== undefined)
          expect([method, path, read(schema).safeParse(value).error]).toEqual([method, path, undefined]);
      }
    }
  }
  expect(examples).toBeGreaterThan(100);
});

test.for(Object.keys(EXAMPLES))("[OPENAPI3] the example of %s is one to the schema that parses", (name) => {
  expect(NAMED[name]?.safeParse(EXAMPLES[name]).error).toBeUndefined();
});

test("[OPENAPI3] the examples of a session and a message are taken by a gateway on which nothing is set", async () => {
  const created = await ask("POST", "sessions", { json: EXAMPLES["CreateSessionBody"] });
  expect(created.status).toBe(201);
  const { session_id } = session.parse(await created.json());
  const sent = await read(await ask("POST", `sessions/${session_id}/turns`, { json: EXAMPLES["SubmitTurnBody"] }));
  expect(sent.status, sent.body).toBe(202);
});

test("[OPENAPI3] what is said of schemas and their fields is said of some that are there", () => {
  for (const name of Object.keys(SCHEMAS)) expect(served.components.schemas).toHaveProperty([name]);
  for (const [name, fields] of Object.entries(FIELDS)) {
    const known = name === "*" ? null : Object.keys(served.components.schemas[name]?.properties ?? {});
    expect([name, Object.keys(fields).filter((field) => known?.includes(field) === false)]).toEqual([name, []]);
  }
});

test("[OPENAPI4] an operation names the scope that its token needs", async () => {
  for (const { path, method, operation } of operations) {
    const needed = operation.security.find(({ bearer }) => bearer !== undefined)?.["bearer"]?.[0];
    if (needed === undefined) continue;
    const at = path.replaceAll(/\{[a-z_]+\}/g, "x");
    for (const one of scope.options) {
      if (one === "admin") continue;
      const response = await ask(method.toUpperCase(), at, { token: `ann-${one}` });
      expect([method, path, one, response.status === 403]).toEqual([method, path, one, one !== needed]);
    }
  }
});

test("[OPENAPI5] the events and the frames of a socket are described by their types", () => {
  const { schemas } = served.components;
  const event = z
    .object({ discriminator: z.object({ mapping: z.record(z.string(), z.string()) }) })
    .parse(schemas["Event"]);
  expect(event.discriminator.mapping).toMatchObject({ TEXT: "#/components/schemas/TextEvent" });
  for (const ref of Object.values(event.discriminator.mapping))
    expect(schemas).toHaveProperty([ref.split("/").at(-1) ?? ""]);
  const stream = operations.find(({ operation }) => operation.operationId === "openStream")?.operation;
  expect(stream?.["x-websocket"]).toMatchObject({
    clientFrames: { $ref: "#/components/schemas/ClientFrame" },
    serverFrames: { $ref: "#/components/schemas/ServerFrame" },
    closeCodes: Object.fromEntries(Object.values(CLOSE_CODES).map((code) => [code, expect.any(String)])),
  });
  expect(schemas["Json"]?.anyOf).toHaveLength(6);
});
