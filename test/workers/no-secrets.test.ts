import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import * as z from "zod";
import { writeLinesTo, writeToConsole } from "../../src/logging/log.ts";
import { createdToken, ticket as ticketShape } from "../../src/protocol/tokens.ts";
import { failure, message, text } from "../support/messages-script.ts";
import { scriptModel } from "../support/scripted-model.ts";
import { newModelName } from "./claude-scene.ts";
import { openLink, postLink } from "./http-link-scene.ts";
import { ADMIN_TOKEN, type Asked, ask } from "./http-scene.ts";
import { newLink, newWaiting, waitOn } from "./http-waiting-scene.ts";
import { SocketClient } from "./session-scene.ts";

const API_KEY = "test-api-key";
const LINK_KEY = "link-key-of-the-test-of-secrets";
const UPGRADE = { upgrade: "websocket" };

/** Everything that is written to the console. */
function spyOnConsole(): () => string {
  const before = writeLinesTo(writeToConsole);
  const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
    vi.spyOn(console, name).mockReturnValue(),
  );
  onTestFinished(() => {
    writeLinesTo(before);
    for (const spy of spies) spy.mockRestore();
  });
  return () => {
    const said = spies.flatMap(({ mock }) => mock.calls.flat());
    return said.map((what) => (what instanceof Error ? `${what.stack}` : JSON.stringify(what))).join("\n");
  };
}

const tableNames = z.array(z.object({ name: z.string() }));
const TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";

async function dumpCatalog(): Promise<string> {
  const { results } = await env.CATALOG.prepare(TABLES).all();
  const tables = tableNames.parse(results).map(({ name }) => env.CATALOG.prepare(`SELECT * FROM "${name}"`));
  return JSON.stringify((await env.CATALOG.batch(tables)).map((table) => table.results));
}

async function dumpBucket(): Promise<string> {
  const pages: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page: R2Objects = await env.BLOBS.list({
      include: ["httpMetadata", "customMetadata"],
      ...(cursor === undefined ? {} : { cursor }),
    });
    const bodies = await Promise.all(page.objects.map(async ({ key }) => (await env.BLOBS.get(key))?.text()));
    pages.push([page.objects, bodies]);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return JSON.stringify(pages);
}

/** All rows of a session's object, and what its sockets carry. */
function dumpObject(sessionId: string): Promise<string> {
  return runInDurableObject(env.SESSIONS.getByName(sessionId), (_, state) => {
    const tables = tableNames.parse(state.storage.sql.exec(TABLES).toArray());
    const rows = tables.map(({ name }) => [name, state.storage.sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    const sockets = state.getWebSockets();
    return JSON.stringify([rows, sockets.map((socket) => [socket.deserializeAttachment(), state.getTags(socket)])]);
  });
}

/** A secret as it may come to stand somewhere. */
function formsOf(secret: string): string[] {
  const base64 = btoa(secret).replace(/..?=*$/, "");
  const hex = Array.from(new TextEncoder().encode(secret), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [secret, encodeURIComponent(secret), base64, base64.replaceAll("+", "-").replaceAll("/", "_"), hex];
}

test("[SEE9] [AUTH5] no token, key, ticket or link stands in D1, in R2, in an object's storage or in the log", async () => {
  const printed = spyOnConsole();
  const bindings: Asked = { env: { GATEWAY_LINK_KEY: LINK_KEY } };
  const admin: Asked = { ...bindings, token: ADMIN_TOKEN };

  const made = await ask("POST", "tokens", {
    ...admin,
    json: { name: "bot", user_id: "secretive", scopes: ["read", "write", "approve"] },
  });
  const { token, token_id } = createdToken.parse(await made.json());
  const asked: Asked = { ...bindings, token };

  // A turn that waits, a link that answers it, and sockets by token and by ticket.
  const { session_id, path, inputId } = await newWaiting(
    { permissions: { write: "ask" } },
    "Write 'x' to a.txt",
    asked,
  );
  const { url } = await newLink(path, inputId, asked);
  const tickets = await Promise.all([1, 2].map(() => ask("POST", `${path}/tickets`, { ...asked, json: {} })));
  const [ticket = "", spare = ""] = await Promise.all(
    tickets.map(async (one) => ticketShape.parse(await one.json()).ticket),
  );
  const opened = await Promise.all([
    ask("GET", `${path}/stream?ticket=${ticket}`, { ...bindings, token: null, headers: UPGRADE }),
    ask("GET", `${path}/stream`, { ...asked, headers: UPGRADE }),
  ]);
  const sockets = opened.map(({ webSocket }) => (webSocket === null ? null : new SocketClient(webSocket)));
  expect(sockets).not.toContain(null);
  for (const socket of sockets) {
    socket?.send({ type: "execute", data: { user_input: "Say 'from a socket'" }, id: 1 });
    socket?.send({ type: "no such frame", data: {} });
    socket?.send("{");
  }
  const ends = sockets.map((socket) => socket?.until(({ type }) => type === "ITERATION_END"));

  // Requests that are refused, with each of the secrets where it does not belong.
  for (const secret of [ADMIN_TOKEN, API_KEY, LINK_KEY, token, ticket, spare, url]) {
    const shown = encodeURIComponent(secret);
    await (await ask("GET", `sessions?cursor=${shown}`, asked)).text();
    await (await ask("GET", `${path}/files/${shown}?x=${shown}`, asked)).text();
    await (await ask("GET", `sessions/${shown}/events?ticket=${shown}`, { ...bindings, token: null })).text();
    await (
      await ask("POST", `sessions/${shown}/turns`, { ...asked, headers: { "idempotency-key": shown }, body: secret })
    ).text();
    await (
      await ask("GET", `no-route/${shown}`, { ...bindings, token: shown, headers: { traceparent: shown } })
    ).text();
    await (await openLink(`/answer/${shown}`, bindings)).text();
  }
  const failing = new Proxy(env.SESSIONS, {
    get: () => () => {
      throw new Error(`cannot be reached with "${token}" at ${url}: ${ADMIN_TOKEN}, ${API_KEY}; ${ticket}`);
    },
  });
  await (await ask("GET", path, { ...asked, env: { ...bindings.env, SESSIONS: failing } })).text();
  await (await openLink(url, { env: { ...bindings.env, SESSIONS: failing } })).text();

  await (await openLink(url, bindings)).text();
  await (await postLink(url, "response=allow", bindings)).text();
  await (await postLink(url, "response=deny", bindings)).text();
  await Promise.all(ends);
  await (await ask("GET", `${path}/events?ticket=${ticket}`, { ...bindings, token: null })).text();

  // A model's server that repeats the key wherever it can, and then works.
  const model = newModelName();
  const echo = { "x-echo": API_KEY, "retry-after": API_KEY, "request-id": API_KEY };
  await scriptModel(inject("messagesServerUrl"), model, [
    failure(401, "authentication_error", `invalid x-api-key: ${API_KEY}`, echo),
    failure(400, `refused_${API_KEY}`, "not valid", echo),
    message([text("works")]),
  ]);
  const claude = await ask("POST", "sessions", { ...asked, json: { model } });
  const { session_id: second } = z.looseObject({ session_id: z.string() }).parse(await claude.json());
  expect(await waitOn(second, "x", asked)).toMatchObject({ status: "failed" });
  expect(await waitOn(second, "z", asked)).toMatchObject({ status: "failed" });
  expect(await waitOn(second, "y", asked)).toMatchObject({ status: "complete" });
  await (await ask("GET", "usage?group_by=user", admin)).text();
  await (await ask("GET", "tokens", admin)).text();

  const eventsAsked = async (id: string) => (await ask("GET", `sessions/${id}/events?limit=1000`, asked)).text();
  const places = {
    d1: await dumpCatalog(),
    r2: await dumpBucket(),
    objects: (await Promise.all([session_id, second].map(dumpObject))).join("\n"),
    events: (await Promise.all([session_id, second].map(eventsAsked))).join("\n"),
    log: printed(),
  };
  // What is looked through is there.
  expect(places.d1).toContain(token_id);
  expect(places.objects).toContain("from a socket");
  expect(places.log).toContain(session_id);
  expect(places.log).toContain('"event":"turn"');
  const [grant = "", seal = ""] = ticket.split(".");
  const [granted = "", sealed = ""] = new URL(url).pathname.slice("/answer/".length).split(".");
  const secrets = { ADMIN_TOKEN, API_KEY, LINK_KEY, token, ticket, grant, seal, spare, url, granted, sealed };
  const found = Object.entries(secrets).flatMap(([name, secret]) =>
    Object.entries(places).flatMap(([place, dump]) =>
      formsOf(secret).flatMap((form) => (dump.includes(form) ? [`${name} in ${place} as ${form}`] : [])),
    ),
  );
  expect(found).toEqual([]);

  await (await ask("DELETE", `tokens/${token_id}`, admin)).text();
  for (const socket of sockets) socket?.close();
});
