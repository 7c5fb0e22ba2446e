import type { Sql } from "../engine/ports.ts";
import { IDEMPOTENCY_TTL_MS } from "../protocol/limits.ts";

/** A message that came with an Idempotency-Key, and was accepted. */
export type KeptRequest = {
  turn_id: string;
  /** The request of a message that joined the turn, as canonical JSON; null for the one that began it, whose turn keeps it. */
  steer: string | null;
};

export function findKept(sql: Sql, userId: string, key: string, now: number): KeptRequest | null {
  const [row] = sql.exec<KeptRequest>(
    "SELECT turn_id, steer FROM idempotency WHERE user_id = ? AND key = ? AND created_at > ?",
    userId,
    key,
    now - IDEMPOTENCY_TTL_MS,
  );
  return row ?? null;
}

/** Keeps a request for a day, and forgets older ones. */
export function keepRequest(sql: Sql, userId: string, key: string, { turn_id, steer }: KeptRequest, now: number): void {
  sql.exec("DELETE FROM idempotency WHERE created_at <= ?", now - IDEMPOTENCY_TTL_MS);
  sql.exec(
    "INSERT INTO idempotency (user_id, key, turn_id, steer, created_at) VALUES (?, ?, ?, ?, ?)",
    userId,
    key,
    turn_id,
    steer,
    now,
  );
}
