import * as z from "zod";
import { SESSION_SEAT_TTL_MS } from "../protocol/limits.ts";

/** A place among the sessions that a user may have, for one that is being created. */
export type Seat = { session_id: string; user_id: string };

const seatRow = z.object({ seated: z.int() });

const LISTED = "EXISTS (SELECT 1 FROM sessions WHERE sessions.session_id = session_seats.session_id)";

/**
 * Takes a seat for a session that is about to be created, if its user has fewer than `max` with it. A session that has
 * one, or is in the index, keeps its place, so that the repeat of a creation is never refused. One statement decides,
 * and D1 runs one after the other: creations that race each other cannot pass the limit together.
 *
 * @returns whether the session may be created
 */
export async function takeSeat(
  db: D1Database,
  { session_id, user_id }: Seat,
  max: number,
  now: number,
): Promise<boolean> {
  const [, , found] = await db.batch([
    // From the index row on, that is what counts.
    db.prepare(`DELETE FROM session_seats WHERE expires_at <= ?1 OR ${LISTED}`).bind(now),
    db
      .prepare(
        `INSERT INTO session_seats (session_id, user_id, expires_at)
         SELECT ?1, ?2, ?3
         WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = ?1)
           AND (SELECT count(*) FROM sessions WHERE user_id = ?2 AND summary IS NOT NULL)
             + (SELECT count(*) FROM session_seats WHERE user_id = ?2 AND session_id <> ?1) < ?4
         ON CONFLICT (session_id) DO UPDATE SET expires_at = excluded.expires_at`,
      )
      .bind(session_id, user_id, now + SESSION_SEAT_TTL_MS, max),
    db
      .prepare(
        `SELECT EXISTS (SELECT 1 FROM session_seats WHERE session_id = ?1)
             OR EXISTS (SELECT 1 FROM sessions WHERE session_id = ?1) AS seated`,
      )
      .bind(session_id),
  ]);
  return z.tuple([seatRow]).parse(found?.results)[0].seated === 1;
}

/** Gives the seat of a creation back that was refused. */
export async function giveSeatBack(db: D1Database, { session_id }: Pick<Seat, "session_id">): Promise<void> {
  await db.prepare("DELETE FROM session_seats WHERE session_id = ?1").bind(session_id).run();
}
