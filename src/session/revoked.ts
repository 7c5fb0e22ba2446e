import type { Sql } from "../engine/ports.ts";

/**
 * The rights that hold no longer in this session, by id: tokens that were revoked, and tickets that were used, until
 * they would have expired anyway. What a cache elsewhere still believes does not count here.
 */
export class Revoked {
  readonly #sql: Sql;
  /** Until when each is kept (null: for good), as it is stored; null before it was read. */
  #kept: Map<string, number | null> | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  has(id: string): boolean {
    return this.#read().has(id);
  }

  /**
   * Keeps an id until `until` (ms since the epoch; null: for good).
   *
   * @returns whether it was new
   */
  add(id: string, until: number | null, now: number): boolean {
    const kept = this.#read();
    if (kept.has(id)) return false;
    const over = [...kept].filter(([, end]) => end !== null && end <= now);
    this.#sql.transaction(() => {
      if (over.length > 0) this.#sql.exec("DELETE FROM revoked WHERE until <= ?", now);
      this.#sql.exec("INSERT INTO revoked (id, until) VALUES (?, ?)", id, until);
    });
    for (const [ended] of over) kept.delete(ended);
    kept.set(id, until);
    return true;
  }

  #read(): Map<string, number | null> {
    this.#kept ??= new Map(
      this.#sql
        .exec<{ id: string; until: number | null }>("SELECT id, until FROM revoked")
        .map(({ id, until }) => [id, until]),
    );
    return this.#kept;
  }
}
