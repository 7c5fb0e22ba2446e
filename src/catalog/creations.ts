import * as z from "zod";
import { IDEMPOTENCY_TTL_MS } from "../protocol/limits.ts";

/** A creation under an `Idempotency-Key`. The key is its user's; `body_hash` tells two bodies apart. */
export type Creation = { user_id: string; key: string; body_hash: string; session_id: string };

/** What stands under the key now. `deleted` says that its session was deleted since. */
export type Claim = { session_id: string; body_hash: string; deleted: boolean };

const claimRow = z
  .object({ session_id: z.string(), body_hash: z.string(), deleted: z.int() })
  .transform((row): Claim => ({ ...row, deleted: row.deleted === 1 }));

/**
 * Stores the creation, unless there is one under its key that is younger than 24 hours, and answers with the one that
 * counts. Comes before the session's object is called, so that a repeat names the same session. Claims that race each
 * other get the same answer.
 */
export async function claimCreation(db: D1Database, creation: Creation, now: number): Promise<Claim> {
  const { user_id, key, body_hash, session_id } = creation;
  const [, , stored] = await db.batch([
    db.prepare("DELETE FROM creations WHERE created_at <= ?1").bind(now - IDEMPOTENCY_TTL_MS),
    db
      .prepare(
        `INSERT INTO creations (user_id, key, body_hash, session_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (user_id, key) DO NOTHING`,
      )
      .bind(user_id, key, body_hash, session_id, now),
    db
      .prepare(
        `SELECT creations.session_id, body_hash, sessions.session_id IS NOT NULL AND summary IS NULL AS deleted
         FROM creations LEFT JOIN sessions ON sessions.session_id = creations.session_id
         WHERE creations.user_id = ?1 AND key = ?2`,
      )
      .bind(user_id, key),
  ]);
  return z.tuple([claimRow]).parse(stored?.results)[0];
}

/** Frees the key of a creation that was refused: only accepted requests are kept. */
export async function releaseCreation(db: D1Database, { user_id, key, session_id }: Creation): Promise<void> {
  await db
    .prepare("DELETE FROM creations WHERE user_id = ?1 AND key = ?2 AND session_id = ?3")
    .bind(user_id, key, session_id)
    .run();
}
