import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, onTestFinished, test, vi } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { signTicket, type TicketGrant, ticketKey, verifyTicket } from "../../src/http/ticket-token.ts";
import { TICKET_MAX_CHARS, TICKET_TTL_MS, USER_ID_MAX_CHARS } from "../../src/protocol/limits.ts";
import { eventPage } from "../../src/protocol/rest.ts";
import { type Ticket, ticket as ticketSchema } from "../../src/protocol/tokens.ts";
import { ADMIN_TOKEN, type Asked, app, ask, codeOf, newSession, ORIGIN, read, revokedTokens } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { useClock } from "./platform.ts";
import { SocketClient } from "./session-scene.ts";
import { refuseStatements } from "./storage-faults.ts";

const UPGRADE = { upgrade: "websocket" };
const SSE = { accept: "text/event-stream" };
/** Whoever touches a session with these fails. */
const NO_SESSIONS = {
  SESSIONS: new Proxy(env.SESSIONS, {
    get: () => () => {
      throw new Error("no session was to be asked");
    },
  }),
};

async function mint(sessionId: string, asked: Asked = {}): Promise<Ticket> {
  return ticketSchema.parse(await (await ask("POST", `sessions/${sessionId}/tickets`, { json: {}, ...asked })).json());
}
const newTicket = async (sessionId: string, asked: Asked = {}) => (await mint(sessionId, asked)).ticket;

/** A request with a ticket and no token. */
const by = (ticket: string, path: string, asked: Asked = {}) =>
  ask("GET", `sessions/${path}${path.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}`, {
    token: null,
    ...asked,
  });

async function open(ticket: string, sessionId: string, asked: Asked = {}): Promise<SocketClient> {
  const response = await by(ticket, `${sessionId}/stream`, { ...asked, headers: { ...UPGRADE, ...asked.headers } });
  expect(response.status).toBe(101);
  if (response.webSocket === null) throw new Error("There is no socket.");
  return new SocketClient(response.webSocket);
}

/** What a ticket comes to, as a WebSocket and as a page of events. */
async function refusalOf(ticket: string, sessionId: string, asked: Asked = {}) {
  const { code } = await (await open(ticket, sessionId, asked)).untilClosed();
  return [code, await codeOf(await by(ticket, `${sessionId}/events`, asked))];
}

const VOID = [4001, "unauthenticated"];

test("[TICKET1] a ticket is for a minute, and for no more than its token may", async () => {
  const { session_id } = await newSession();
  const { ticket, expires_at } = await mint(session_id);
  expect(ticket).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/);
  const seconds = (Date.parse(expires_at) - Date.now()) / 1_000;
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  const soon = Date.now() + 20_000;
  const shorter = await mint(session_id, { token: `ann-read-${soon}` });
  expect(Date.parse(shorter.expires_at)).toBe(soon);

  const asking = async (token: string, json: unknown) =>
    codeOf(await ask("POST", `sessions/${session_id}/tickets`, { token, json }));
  expect(await asking("ann-write", {})).toBe("forbidden");
  expect(await asking("ann-read", { scopes: ["read", "write"] })).toBe("forbidden");
  expect(await asking("ann", { scopes: ["read", "admin"] })).toBe("forbidden");
  const badly = [{ scopes: ["write"] }, { scopes: [] }, { scopes: ["read", "read"] }, { scopes: "read" }, { ttl: 1 }];
  for (const json of badly) expect([json, await asking("ann", json)]).toEqual([json, "invalid_request"]);
  expect(await asking("bob", {})).toBe("not_found");
});

test("[TICKET1] the library asks for a ticket with the scopes that it is to have", async () => {
  const { session_id } = await newSession();
  const gateway = new ExternalGateway({
    baseUrl: ORIGIN,
    token: "ann",
    fetch: async (url, init) => app.fetch(new Request(url, init), env, createExecutionContext()),
  });
  const { ticket } = await gateway.createTicket(session_id, { scopes: ["read"] });
  const grant = await verifyTicket(await ticketKey(env), ticket);
  expect(grant).toMatchObject({ session_id, asking: { user_id: "ann", scopes: ["read"] } });
  await expect(gateway.createTicket(session_id, { scopes: ["read", "admin"] })).rejects.toMatchObject({
    code: "forbidden",
  });
  await gateway.close();
});

test("[TICKET2] a ticket opens a socket, a page of events or a stream of them, once", async () => {
  const { session_id } = await newSession();
  await read(await ask("POST", `sessions/${session_id}/turns?wait=true`, { json: { user_input: "Say 'x'" } }));

  const first = await newTicket(session_id);
  const socket = await open(first, session_id);
  expect((await socket.control("connected")).data).toMatchObject({ session_id });
  expect(await refusalOf(first, session_id)).toEqual(VOID);

  const second = await newTicket(session_id);
  const page = eventPage.parse(await (await by(second, `${session_id}/events?limit=2`)).json());
  expect(page.events).toHaveLength(2);
  expect(await refusalOf(second, session_id)).toEqual(VOID);

  const third = await newTicket(session_id);
  const events = new SseClient(await by(third, `${session_id}/events?after=2`, { headers: SSE }));
  expect(await events.until(({ type }) => type === "ITERATION_END")).toBe(true);
  expect(events.events[0]?.seq).toBe(3);
  expect(await codeOf(await by(third, `${session_id}/events`, { headers: SSE }))).toBe("unauthenticated");
  await events.leave();
  socket.close();

  const raced = await newTicket(session_id);
  const racing = await Promise.all(
    [1, 2, 3].map(async () => (await read(await by(raced, `${session_id}/events`))).status),
  );
  expect(racing.sort()).toEqual([200, 401, 401]);
});

test("[TICKET2] [TICKET4] which tickets were used is read once by an object, and kept in mind", async () => {
  const { session_id } = await newSession();
  const [first, second] = [await newTicket(session_id), await newTicket(session_id)];
  expect((await read(await by(first, `${session_id}/events`))).status).toBe(200);
  await refuseStatements(session_id, "SELECT id");
  expect((await read(await by(second, `${session_id}/events`))).status).toBe(200);
  for (const used of [first, second]) expect(await refusalOf(used, session_id)).toEqual(VOID);
});

test("[TICKET2] beside a token, and on other routes, a ticket counts for nothing and is not used up", async () => {
  const { session_id } = await newSession();
  const ticket = await newTicket(session_id);
  const events = `${session_id}/events`;
  expect((await read(await by(ticket, events, { token: "ann" }))).status).toBe(200);
  expect(await codeOf(await by(ticket, events, { token: "wrong" }))).toBe("unauthenticated");
  const wrong = await by(ticket, `${session_id}/stream`, { token: "wrong", headers: UPGRADE });
  expect(await codeOf(wrong)).toBe("unauthenticated");
  for (const path of [session_id, `${session_id}/turns`, `${session_id}/files`, `${session_id}/files/stream`]) {
    expect([path, await codeOf(await by(ticket, path))]).toEqual([path, "unauthenticated"]);
  }
  const posted = await ask("POST", `sessions/${events}?ticket=${ticket}`, { token: null });
  expect(await codeOf(posted)).toBe("unauthenticated");
  expect(await codeOf(await ask("GET", "sessions", { token: ticket }))).toBe("unauthenticated");
  expect((await read(await by(ticket, events))).status).toBe(200);
});

test("[TICKET4] [TICKET5] what is no ticket of this session, or expired, is refused before a session is asked", async () => {
  const { session_id } = await newSession();
  const other = await newSession();
  const refused = async (ticket: string, id = session_id) =>
    expect([ticket, await refusalOf(ticket, id, { env: NO_SESSIONS })]).toEqual([ticket, VOID]);
  const ticket = await newTicket(session_id);
  await refused(ticket, other.session_id);
  const [payload = "", signature = ""] = ticket.split(".");
  const [otherPayload = ""] = (await newTicket(session_id)).split(".");
  await refused("");
  await refused("x");
  await refused(`${otherPayload}.${signature}`);
  await refused(`${payload}.`);
  await refused(`${ticket.slice(0, -1)}${ticket.endsWith("A") ? "B" : "A"}`);
  await refused(`${"A".repeat(TICKET_MAX_CHARS)}${ticket}`);
  await refused(ADMIN_TOKEN);
  const otherKey = { env: { ...NO_SESSIONS, GATEWAY_LINK_KEY: "another" } };
  expect(await refusalOf(ticket, session_id, otherKey)).toEqual(VOID);
  const clock = useClock();
  clock.putForward(TICKET_TTL_MS);
  await refused(ticket);
});

test("[TICKET3] any ticket comes back as it was, from its own key alone", async () => {
  const asking = { user_id: "€".repeat(USER_ID_MAX_CHARS), scopes: ["read" as const], token_id: `token_${ulid()}` };
  const grant: TicketGrant = {
    asking: { ...asking, expires_at: 8.64e15 },
    session_id: `session_${ulid()}`,
    expiresAt: 8.64e15,
    ticket_id: "A".repeat(22),
  };
  const key = await ticketKey({ GATEWAY_LINK_KEY: "a" });
  const signed = await signTicket(key, grant);
  expect(signed.length).toBeLessThan(TICKET_MAX_CHARS);
  expect(await verifyTicket(key, signed)).toEqual(grant);
  expect(await verifyTicket(await ticketKey({ GATEWAY_LINK_KEY: "b" }), signed)).toBeNull();
  expect(await verifyTicket(await ticketKey({ GATEWAY_TOKEN: "a" }), signed)).toEqual(grant);
  const { session_id } = await newSession();
  const none = { json: {}, env: { GATEWAY_TOKEN: "", GATEWAY_LINK_KEY: "" } };
  const refused = await read(await ask("POST", `sessions/${session_id}/tickets`, none));
  expect(refused).toMatchObject({ status: 503, body: expect.stringContaining("tickets") });
});

test("[TICKET4] [TICKET5] the tickets of a token that was revoked, or has ended, are void", async () => {
  const { session_id } = await newSession();
  const ticket = await newTicket(session_id, { token: "ann-read" });
  revokedTokens.add("the id of ann-read");
  onTestFinished(() => {
    revokedTokens.delete("the id of ann-read");
  });
  expect(await refusalOf(ticket, session_id)).toEqual(VOID);

  // Two of a token that the session itself was told of.
  const told = "ann-read-8640000000000000";
  const tickets = [await newTicket(session_id, { token: told }), await newTicket(session_id, { token: told })];
  const socket = await open(tickets[0] ?? "", session_id);
  await socket.control("connected");
  await env.SESSIONS.getByName(session_id).revokeToken(`the id of ${told}`);
  expect((await socket.untilClosed()).code).toBe(4001);
  expect(await refusalOf(tickets[1] ?? "", session_id)).toEqual(VOID);

  // Of a clock that lags behind: the ticket itself would still hold.
  const asking = { user_id: "ann", scopes: ["read" as const], token_id: "the id of ann", expires_at: Date.now() };
  const expiresAt = Date.now() + TICKET_TTL_MS;
  const late = await signTicket(await ticketKey(env), { asking, session_id, expiresAt, ticket_id: ulid() });
  expect(await refusalOf(late, session_id)).toEqual(VOID);
});

test("[TICKET5] a socket whose session is gone is closed with 4004; what else fails is told over HTTP", async () => {
  const { session_id } = await newSession();
  const tickets = [await newTicket(session_id), await newTicket(session_id), await newTicket(session_id)];
  const [badCursor = "", ...left] = tickets;
  expect(await codeOf(await by(badCursor, `${session_id}/stream?after=x`, { headers: UPGRADE }))).toBe("bad_cursor");
  const [kept = "", last = ""] = left;
  await read(await ask("DELETE", `sessions/${session_id}`));
  expect((await (await open(kept, session_id)).untilClosed()).code).toBe(4004);
  expect(await codeOf(await by(last, `${session_id}/events`))).toBe("not_found");
});

test("[TICKET7] a ticket of an admin's without the scope admin is one of the session's user", async () => {
  const { session_id } = await newSession();
  const json = { scopes: ["read", "write"] };
  const socket = await open(await newTicket(session_id, { token: ADMIN_TOKEN, json }), session_id);
  socket.send({ type: "execute", data: { user_input: "Say 'x'" } });
  const { data } = await socket.until(({ type }) => type === "USER_INPUT");
  expect(data).toMatchObject({ user_id: "ann" });
  socket.close();
  const admins = await newTicket(session_id, { token: ADMIN_TOKEN });
  expect((await read(await by(admins, `${session_id}/events`))).status).toBe(200);
});

test("[TICKET9] a ticket works whomever GATEWAY_ALLOWED_USERS lists: its maker was let in", async () => {
  const asAdmin = { token: ADMIN_TOKEN, env: { GATEWAY_ALLOWED_USERS: "bob" } };
  for (const user_id of ["admin", "bob"]) {
    const { session_id } = await newSession({ ...asAdmin, json: { user_id } });
    const ticket = await newTicket(session_id, { ...asAdmin, json: { scopes: ["read", "write"] } });
    expect((await read(await by(ticket, `${session_id}/events`, { env: asAdmin.env }))).status).toBe(200);
  }
  const { session_id } = await newSession();
  expect(await codeOf(await ask("POST", `sessions/${session_id}/tickets`, { json: {}, env: asAdmin.env }))).toBe(
    "forbidden",
  );
});

test("[TICKET8] [AUTH7] a page of another origin opens nothing with a ticket, and does not use it up", async () => {
  const { session_id } = await newSession();
  const ticket = await newTicket(session_id);
  const elsewhere = { origin: "https://elsewhere.test" };
  for (const headers of [elsewhere, { ...elsewhere, ...SSE }]) {
    expect(await codeOf(await by(ticket, `${session_id}/events`, { headers }))).toBe("forbidden");
  }
  const socket = await by(ticket, `${session_id}/stream`, { headers: { ...elsewhere, ...UPGRADE } });
  expect(await codeOf(socket)).toBe("forbidden");
  const foreign = await by("x", `${session_id}/stream`, { headers: { ...elsewhere, ...UPGRADE } });
  expect(await codeOf(foreign)).toBe("unauthenticated");
  const listed = { GATEWAY_ALLOWED_ORIGINS: "https://other.test, https://elsewhere.test" };
  const opened = await open(ticket, session_id, { headers: elsewhere, env: listed });
  await opened.control("connected");
  opened.close();
  const own = await newTicket(session_id);
  expect((await read(await by(own, `${session_id}/events`, { headers: { origin: ORIGIN } }))).status).toBe(200);
});

test("[TICKET3] [AUTH5] no ticket is in what is stored, an event, an answer to it or on the console", async () => {
  const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
    vi.spyOn(console, name).mockReturnValue(),
  );
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  const { session_id } = await newSession();
  const ticket = await newTicket(session_id);
  const socket = await open(ticket, session_id);
  socket.send({ type: "execute", data: { user_input: "Say 'x'" } });
  await socket.control("query_complete");
  const refused = [await refusalOf(ticket, session_id), await read(await by(`${ticket}x`, `${session_id}/events`))];
  const broken = await read(await by(await newTicket(session_id), `${session_id}/events`, { env: NO_SESSIONS }));
  expect(broken.status).toBe(500);
  const stored = await runInDurableObject(env.SESSIONS.getByName(session_id), (_, { storage: { sql } }) => {
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    return tables
      .filter(({ name }) => !name.startsWith("_cf"))
      .map(({ name }) => [name, sql.exec(`SELECT * FROM ${name}`).toArray()]);
  });
  expect(JSON.stringify(stored)).toContain('"revoked",[{"id":');
  const said = spies
    .flatMap(({ mock }) => mock.calls.flat())
    .map((what) => (what instanceof Error ? what.stack : what));
  const seen = JSON.stringify([refused, broken, stored, said, socket.frames]);
  const [payload = "", signature = ""] = ticket.split(".");
  for (const part of [payload.slice(0, 40), payload.slice(-40), signature.slice(0, 20)])
    expect(seen).not.toContain(part);
  socket.close();
});
