import type { TokenPage } from "../protocol/tokens.ts";
import type { Statement } from "./statement.ts";
import {
  insertToken,
  revokeStatements,
  type StoredToken,
  selectToken,
  selectTokens,
  storedToken,
  toTokenPage,
} from "./token-statements.ts";

export async function storeToken(db: D1Database, token: Omit<StoredToken, "revoked_at">): Promise<void> {
  await prepare(db, insertToken(token)).run();
}

/** A token by its id, also one that holds no longer; null where there is none. */
export async function findToken(db: D1Database, id: string): Promise<StoredToken | null> {
  const { results } = await prepare(db, selectToken(id)).all();
  const [row] = results;
  return row === undefined ? null : storedToken.parse(row);
}

/**
 * One page of all tokens, the newest first.
 *
 * @throws GatewayError `bad_cursor`
 */
export async function listTokens(db: D1Database, page: { limit: number; cursor: string | null }): Promise<TokenPage> {
  const { results } = await prepare(db, selectTokens(page)).all();
  return toTokenPage(results, page.limit);
}

/**
 * Revokes a token for good, and notes that its sessions are to be told, from `now` on. Idempotent.
 *
 * @returns the token as it is then; null where there is none
 */
export async function revokeToken(db: D1Database, id: string, now: number): Promise<StoredToken | null> {
  const statements = [...revokeStatements(id, now), selectToken(id)].map((statement) => prepare(db, statement));
  const [, , found] = await db.batch(statements);
  const row = found?.results[0];
  return row === undefined ? null : storedToken.parse(row);
}

function prepare(db: D1Database, { query, params }: Statement): D1PreparedStatement {
  return db.prepare(query).bind(...params);
}
