import * as z from "zod";
import type { Session, SessionPage, SessionStatus } from "../protocol/rest.ts";
import { foldTitle, parseSessionCursor, toSessionPage } from "../protocol/session-list.ts";
import type { TurnUsage } from "../protocol/usage.ts";
import { STORE_USAGE, usageParameter } from "../protocol/usage-query.ts";

/**
 * Writes the session's row in the index, and with it what ended turns used. A version that is not above the stored one
 * changes nothing, and neither does any write after `removeFromIndex`: calls may come late, twice and in any order.
 */
export async function indexSession(
  db: D1Database,
  summary: Session,
  version: number,
  usage: TurnUsage[] = [],
): Promise<void> {
  const row = db
    .prepare(
      `INSERT INTO sessions (session_id, version, user_id, status, updated_at, title_folded, summary)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
       ON CONFLICT (session_id) DO UPDATE SET version = excluded.version, user_id = excluded.user_id,
         status = excluded.status, updated_at = excluded.updated_at, title_folded = excluded.title_folded,
         summary = excluded.summary
       WHERE sessions.summary IS NOT NULL AND excluded.version > sessions.version`,
    )
    .bind(
      summary.session_id,
      version,
      summary.user_id,
      summary.status,
      summary.updated_at,
      foldTitle(summary.title ?? ""),
      JSON.stringify(summary),
    );
  await writeTogether(db, [row], usage);
}

/**
 * Puts a tombstone in the place of the session's row, whether there is one or not, forgets which tokens had sockets on it,
 * and stores what its turns used. Idempotent.
 */
export async function removeFromIndex(db: D1Database, id: string, usage: TurnUsage[] = []): Promise<void> {
  const tombstone = db
    .prepare(
      `INSERT INTO sessions (session_id, version) VALUES (?1, 0)
       ON CONFLICT (session_id) DO UPDATE SET user_id = NULL, status = NULL, updated_at = NULL, title_folded = NULL,
         summary = NULL
       WHERE sessions.summary IS NOT NULL`,
    )
    .bind(id);
  const forgotten = db.prepare("DELETE FROM token_sessions WHERE session_id = ?1").bind(id);
  await writeTogether(db, [tombstone, forgotten], usage);
}

/** One transaction, so that of rows and usage all are stored or nothing. */
async function writeTogether(db: D1Database, rows: D1PreparedStatement[], usage: TurnUsage[]): Promise<void> {
  const all = usage.length === 0 ? rows : [...rows, db.prepare(STORE_USAGE).bind(usageParameter(usage))];
  const [first] = all;
  if (all.length === 1 && first !== undefined) await first.run();
  else await db.batch(all);
}

/** `user_id` null means everyone's. `q` is looked for in the title, in any case. */
export type SessionFilter = {
  user_id: string | null;
  status: SessionStatus | null;
  q: string | null;
  limit: number;
  cursor: string | null;
};

const indexRow = z.object({ summary: z.string() });

/**
 * One page of the index, newest activity first.
 *
 * @throws GatewayError `bad_cursor`
 */
export async function listSessions(db: D1Database, filter: SessionFilter): Promise<SessionPage> {
  const where = ["summary IS NOT NULL"];
  const params: (string | number)[] = [];
  if (filter.user_id !== null) {
    where.push("user_id = ?");
    params.push(filter.user_id);
  }
  if (filter.status !== null) {
    where.push("status = ?");
    params.push(filter.status);
  }
  if (filter.q !== null && filter.q !== "") {
    // Not LIKE: D1 refuses patterns over 50 bytes.
    where.push("instr(title_folded, ?) > 0");
    params.push(foldTitle(filter.q));
  }
  if (filter.cursor !== null) {
    where.push("(updated_at, session_id) < (?, ?)");
    params.push(...parseSessionCursor(filter.cursor));
  }
  const { results } = await db
    .prepare(
      `SELECT summary FROM sessions WHERE ${where.join(" AND ")}
       ORDER BY updated_at DESC, session_id DESC LIMIT ?`,
    )
    .bind(...params, filter.limit + 1)
    .all();
  return toSessionPage(
    results.map((row) => indexRow.parse(row).summary),
    filter.limit,
  );
}
