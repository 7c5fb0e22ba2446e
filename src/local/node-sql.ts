import { DatabaseSync } from "node:sqlite";
import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";

/** How long a statement waits for another process that is writing. */
const BUSY_TIMEOUT_MS = 5_000;

/** The `Sql` port over node:sqlite, so that what needs a session's database runs without a platform. */
export function createNodeSql(db: DatabaseSync): Sql {
  return {
    exec<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
      // What a statement selects is the caller's word; SQL is not typed.
      return db.prepare(query).all(...params) as Row[];
    },
    transaction<T>(write: () => T): T {
      db.exec("BEGIN");
      try {
        const result = write();
        if (result instanceof Promise) throw new TypeError("a transaction cannot be async");
        db.exec("COMMIT");
        return result;
      } catch (thrown) {
        db.exec("ROLLBACK");
        throw thrown;
      }
    },
  };
}

/** A database file that is open. After `close`, which may be called twice, every statement throws. */
export type NodeSql = { sql: Sql; close(): void };

/**
 * Opens a database of Turnpike's; without `readOnly` it is made where there is none, but not its folder. Commits are
 * durable when they return.
 *
 * @throws where the file cannot be opened, or is something else
 */
export function openNodeSql(file: string, { readOnly = false }: { readOnly?: boolean } = {}): NodeSql {
  const db = new DatabaseSync(file, { readOnly, timeout: BUSY_TIMEOUT_MS });
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  return {
    sql: createNodeSql(db),
    close() {
      if (db.isOpen) db.close();
    },
  };
}
