import type { Sql } from "../engine/ports.ts";

/**
 * The rights that hold no longer in this session, by id: tokens that were revoked, and tickets that were used, until
 * they would have expired anyway. What a cache elsewhere still believes does not count here.
 */
export class Revoked {
  readonly #sql: Sql;
  #ids: Set<string> | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  has(id: string): boolean {
    this.#ids ??= new Set(this.#sql.exec<{ id: string }>("SELECT id FROM revoked").map((row) => row.id));
    return this.#ids.has(id);
  }

  /**
   * Keeps an id until `until` (ms since the epoch; null: for good).
   *
   * @returns whether it was new
   */
  add(id: string, until: number | null, now: number): boolean {
    if (this.has(id)) return false;
    this.#sql.transaction(() => {
      this.#sql.exec("DELETE FROM revoked WHERE until <= ?", now);
      this.#sql.exec("INSERT INTO revoked (id, until) VALUES (?, ?)", id, until);
    });
    this.#ids = null;
    return true;
  }
}
