/** What is asked of the table of tokens, by the gateway and by the command line, which reaches the database without it. */
import * as z from "zod";
import { toTimestamp } from "../protocol/events.ts";
import { tokenId } from "../protocol/ids.ts";
import { formatPageCursor, parsePageCursor } from "../protocol/page-cursor.ts";
import { scope } from "../protocol/principal.ts";
import { type TokenInfo, type TokenPage, tokenInfo } from "../protocol/tokens.ts";
import type { Statement } from "./statement.ts";

/** A token as it is stored. Times are ms since the epoch. */
export const storedToken = z.object({
  token_id: tokenId,
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string(),
  user_id: z.string(),
  scopes: z
    .string()
    .transform((json): unknown => JSON.parse(json))
    .pipe(z.array(scope)),
  created_at: z.int(),
  expires_at: z.int().nullable(),
  revoked_at: z.int().nullable(),
});
export type StoredToken = z.infer<typeof storedToken>;

/** Greater than every id. */
const ABOVE_ALL = "token_~";

export function insertToken(token: Omit<StoredToken, "revoked_at">): Statement {
  const { token_id, digest, name, user_id, scopes, created_at, expires_at } = token;
  return {
    query: `INSERT INTO tokens (token_id, digest, name, user_id, scopes, created_at, expires_at)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
    params: [token_id, digest, name, user_id, JSON.stringify(scopes), created_at, expires_at],
  };
}

export function selectToken(id: string): Statement {
  return { query: "SELECT * FROM tokens WHERE token_id = ?1", params: [id] };
}

/**
 * A page of tokens, the newest first: one more than the page may hold, if there is.
 *
 * @throws GatewayError `bad_cursor`
 */
export function selectTokens({ limit, cursor }: { limit: number; cursor: string | null }): Statement {
  const [before] = cursor === null ? [ABOVE_ALL] : parsePageCursor(cursor, z.tuple([tokenId]));
  return {
    query: "SELECT * FROM tokens WHERE token_id < ?1 ORDER BY token_id DESC LIMIT ?2",
    params: [before, limit + 1],
  };
}

/** The page, from the rows that the statement gave. */
export function toTokenPage(rows: readonly unknown[], limit: number): TokenPage {
  const tokens = rows.slice(0, limit).map((row) => toTokenInfo(storedToken.parse(row)));
  const last = rows.length > limit ? tokens.at(-1) : undefined;
  return { tokens, next_cursor: last === undefined ? null : formatPageCursor([last.token_id]) };
}

/** A token as it is shown. */
export function toTokenInfo(token: StoredToken): TokenInfo {
  const { token_id, name, user_id, scopes, created_at, expires_at, revoked_at } = token;
  return tokenInfo.parse({
    token_id,
    name,
    user_id,
    scopes,
    created_at: toTimestamp(created_at),
    expires_at: expires_at === null ? null : toTimestamp(expires_at),
    revoked_at: revoked_at === null ? null : toTimestamp(revoked_at),
  });
}

/**
 * Revokes a token, and notes that its sessions are to be told: two statements for one transaction. Repeated, they change
 * nothing of the first time, but that those who were not told yet are to be told now. That they are due says no time:
 * the clock that `now` was read from need not be the gateway's.
 */
export function revokeStatements(id: string, now: number): [revoke: Statement, tell: Statement] {
  return [
    {
      query: "UPDATE tokens SET revoked_at = ?2 WHERE token_id = ?1 AND revoked_at IS NULL",
      params: [id, now],
    },
    { query: "UPDATE token_sessions SET due_at = 0 WHERE token_id = ?1", params: [id] },
  ];
}
