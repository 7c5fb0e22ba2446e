import { TURN_LEASE_TTL_MS } from "../protocol/limits.ts";

/** What a session needs while a turn of it runs. `lease_id` is above those of the session's leases before it. */
export type Lease = { session_id: string; user_id: string; lease_id: string };

/**
 * The register of turns that run, for the sessions that ask it. Calls may take effect in another order than they were
 * made in: what is said of a lease does nothing to one that the session took after it.
 */
export function createTurnLeases(db: D1Database, now: () => number) {
  return {
    /**
     * Takes a lease, if fewer than `max` other sessions of its user have one, or it has one still from before. One
     * statement decides, and D1 runs one after the other.
     *
     * @returns whether the session has it
     */
    async take(lease: Lease, max: number): Promise<boolean> {
      const { meta } = await db
        .prepare(
          `INSERT INTO turn_leases (session_id, user_id, lease_id, expires_at)
           SELECT ?1, ?2, ?3, ?4
           WHERE EXISTS (SELECT 1 FROM turn_leases WHERE session_id = ?1 AND expires_at > ?5)
             OR (SELECT count(*) FROM turn_leases WHERE user_id = ?2 AND expires_at > ?5 AND session_id <> ?1) < ?6
           ON CONFLICT (session_id) DO UPDATE SET lease_id = excluded.lease_id, expires_at = excluded.expires_at`,
        )
        .bind(lease.session_id, lease.user_id, lease.lease_id, now() + TURN_LEASE_TTL_MS, now(), max)
        .run();
      return meta.changes > 0;
    },

    /** Renews a lease, or takes it whatever the limit says: for a turn that was accepted and goes on. Idempotent. */
    async renew(lease: Lease): Promise<void> {
      await db
        .prepare(
          `INSERT INTO turn_leases (session_id, user_id, lease_id, expires_at) VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT (session_id) DO UPDATE SET lease_id = excluded.lease_id, expires_at = excluded.expires_at
           WHERE excluded.lease_id >= lease_id OR expires_at <= ?5`,
        )
        .bind(lease.session_id, lease.user_id, lease.lease_id, now() + TURN_LEASE_TTL_MS, now())
        .run();
    },

    /** Gives a lease back, and any before it. One that was taken since is left. Idempotent. */
    async giveBack({ session_id, lease_id }: Lease): Promise<void> {
      await db
        .prepare("DELETE FROM turn_leases WHERE session_id = ?1 AND lease_id <= ?2")
        .bind(session_id, lease_id)
        .run();
    },
  };
}
