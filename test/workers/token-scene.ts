import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { revokeStatements } from "../../src/catalog/token-statements.ts";
import { type CreatedToken, createdToken } from "../../src/protocol/tokens.ts";
import { ADMIN_TOKEN, type Asked, ask, newSession } from "./http-scene.ts";
import { SocketClient } from "./session-scene.ts";

export const asAdmin = { token: ADMIN_TOKEN };

/** A token of a new user, who may read, write and approve. */
export async function newToken(given: object = {}): Promise<CreatedToken> {
  const json = { name: "a test's", user_id: ulid(), scopes: ["read", "write", "approve"], ...given };
  return createdToken.parse(await (await ask("POST", "tokens", { ...asAdmin, json })).json());
}

/** The same with a session of that user. */
export async function tokenWithSession(given: object = {}) {
  const created = await newToken(given);
  const { session_id } = await newSession(created);
  return { ...created, session_id };
}

export async function revoke(token_id: string): Promise<number> {
  const response = await ask("DELETE", `tokens/${token_id}`, asAdmin);
  await response.text();
  return response.status;
}

/** As the command line does it, which knows no gateway. */
export async function revokeInDatabase(token_id: string): Promise<void> {
  const statements = revokeStatements(token_id, Date.now());
  await env.CATALOG.batch(statements.map(({ query, params }) => env.CATALOG.prepare(query).bind(...params)));
}

/** Asks for a WebSocket on a session. */
export function askStream(session_id: string, asked: Asked, query = ""): Promise<Response> {
  return ask("GET", `sessions/${session_id}/stream${query}`, { ...asked, headers: { upgrade: "websocket" } });
}

export async function openStream(session_id: string, asked: Asked, query?: string): Promise<SocketClient> {
  const response = await askStream(session_id, asked, query);
  if (response.webSocket === null) throw new Error(await response.text());
  return new SocketClient(response.webSocket);
}

/** Which sessions are noted for a token in D1. */
export async function notedSessions(token_id: string): Promise<unknown[]> {
  const query = "SELECT session_id FROM token_sessions WHERE token_id = ?";
  const { results } = await env.CATALOG.prepare(query).bind(token_id).all();
  return results.map((row) => row["session_id"]);
}
