import type { DatabaseSync } from "node:sqlite";
import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";

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
