import * as z from "zod";

const spaceRow = z.object({ space_id: z.string() });
const countRow = z.object({ members: z.int() });

/** What was asked before its session was deleted, and is done after it, would leave a row that nobody removes. */
const NOT_DELETED = "NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = ?1 AND summary IS NULL)";

/**
 * Puts a session alone into a new space. Idempotent.
 *
 * @returns the id of the space that the session is in, or null if it was deleted
 */
export async function startSpace(
  db: D1Database,
  { space_id, session_id }: { space_id: string; session_id: string },
): Promise<string | null> {
  const [, own] = await db.batch([
    db
      .prepare(
        `INSERT INTO spaces (session_id, space_id) SELECT ?1, ?2 WHERE ${NOT_DELETED}
         ON CONFLICT (session_id) DO NOTHING`,
      )
      .bind(session_id, space_id),
    selectSpace(db, session_id),
  ]);
  return z.array(spaceRow).parse(own?.results)[0]?.space_id ?? null;
}

/**
 * Puts a session into the space of another, which is alive for as long as its row stands: from then on the space's
 * blobs stay. Comes before any of the other's file rows are copied. Idempotent.
 *
 * @returns the space's id, or null if the other session has left its space or never had one, or this one was deleted
 */
export async function joinSpace(
  db: D1Database,
  { source, session_id }: { source: string; session_id: string },
): Promise<string | null> {
  const [, own] = await db.batch([
    db
      .prepare(
        `INSERT INTO spaces (session_id, space_id) SELECT ?1, space_id FROM spaces WHERE session_id = ?2 AND ${NOT_DELETED}
         ON CONFLICT (session_id) DO NOTHING`,
      )
      .bind(session_id, source),
    selectSpace(db, session_id),
  ]);
  return z.array(spaceRow).parse(own?.results)[0]?.space_id ?? null;
}

/**
 * Takes a session out of its space. Idempotent.
 *
 * @returns whether nobody is left, so that the space's blobs may go
 */
export async function leaveSpace(
  db: D1Database,
  { space_id, session_id }: { space_id: string; session_id: string },
): Promise<boolean> {
  const [, rest] = await db.batch([
    db.prepare("DELETE FROM spaces WHERE session_id = ?1 AND space_id = ?2").bind(session_id, space_id),
    db.prepare("SELECT count(*) AS members FROM spaces WHERE space_id = ?1").bind(space_id),
  ]);
  return z.tuple([countRow]).parse(rest?.results)[0].members === 0;
}

function selectSpace(db: D1Database, sessionId: string): D1PreparedStatement {
  return db.prepare("SELECT space_id FROM spaces WHERE session_id = ?1").bind(sessionId);
}
