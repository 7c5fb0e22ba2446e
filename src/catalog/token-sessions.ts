import * as z from "zod";

/** A session on which a token has opened a socket, or is about to. */
export type TokenSession = { token_id: string; session_id: string };

const tokenSession = z.object({ token_id: z.string(), session_id: z.string() });
const holdsRow = z.object({ holds: z.int() });

/**
 * Notes that a token opens sockets on a session, unless it was revoked: whoever revokes it from then on tells the session.
 * A session that was deleted meanwhile is not noted. Idempotent.
 *
 * @returns whether the token holds
 */
export async function noteTokenSession(db: D1Database, { token_id, session_id }: TokenSession): Promise<boolean> {
  const [, found] = await db.batch([
    db
      .prepare(
        `INSERT INTO token_sessions (token_id, session_id)
         SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM tokens WHERE token_id = ?1 AND revoked_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = ?2 AND summary IS NULL)
         ON CONFLICT DO NOTHING`,
      )
      .bind(token_id, session_id),
    db.prepare("SELECT count(*) AS holds FROM tokens WHERE token_id = ?1 AND revoked_at IS NULL").bind(token_id),
  ]);
  return z.tuple([holdsRow]).parse(found?.results)[0].holds === 1;
}

/** Whether a session is noted for a token: for one that was revoked, whether there is one that was not told yet. */
export async function hasTokenSessions(db: D1Database, token_id: string): Promise<boolean> {
  const found = await db.prepare("SELECT 1 FROM token_sessions WHERE token_id = ?1 LIMIT 1").bind(token_id).first();
  return found !== null;
}

/**
 * The sessions that are to be told by `now` that their token was revoked, at most `limit`; with `token_id` of that one.
 * Those that were told in vain come last, and of the others the newest first: it is there that something may happen.
 * Reads no row where there is none. (A revocation makes them due at 0, and only what is told in vain at a time.)
 */
export async function dueTokenSessions(
  db: D1Database,
  { token_id, now, limit }: { token_id: string | null; now: number; limit: number },
): Promise<TokenSession[]> {
  const { results } = await db
    .prepare(
      `SELECT token_id, session_id FROM token_sessions
       WHERE due_at <= ?1 AND (?2 IS NULL OR token_id = ?2)
       ORDER BY due_at > 0, session_id DESC LIMIT ?3`,
    )
    .bind(now, token_id, limit)
    .all();
  return z.array(tokenSession).parse(results);
}

/** Forgets those that were told, and lets the others be told again from `retryAt` on. */
export async function settleTokenSessions(
  db: D1Database,
  { told, untold, retryAt }: { told: TokenSession[]; untold: TokenSession[]; retryAt: number },
): Promise<void> {
  const those = "(token_id, session_id) IN (SELECT value ->> 'token_id', value ->> 'session_id' FROM json_each(?1))";
  await db.batch([
    db.prepare(`DELETE FROM token_sessions WHERE ${those}`).bind(JSON.stringify(told)),
    db.prepare(`UPDATE token_sessions SET due_at = ?2 WHERE ${those}`).bind(JSON.stringify(untold), retryAt),
  ]);
}
