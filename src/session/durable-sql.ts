import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";
import {
  checkNumber,
  checkParameters,
  countParameters,
  createStatementCache,
  nestedTransaction,
  runSynchronously,
} from "../engine/sql-values.ts";
import type { DurableAlarm } from "./durable-alarm.ts";

/** The `Sql` port over a Durable Object's SQLite, with the alarm that its transactions may set. */
export function createDurableSql(storage: DurableObjectStorage, alarm: DurableAlarm): Sql {
  const parametersOf = createStatementCache(countParameters);
  let inTransaction = false;
  return {
    exec<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
      checkParameters(params, parametersOf(query));
      const rows = storage.sql
        .exec(query, ...params)
        .toArray()
        .map(toSqlRow);
      // What a statement selects is the caller's word; SQL is not typed, and this is the one place that says so.
      return rows as Row[];
    },
    transaction<T>(write: () => T): T {
      if (inTransaction) throw nestedTransaction();
      inTransaction = true;
      const alarmBefore = alarm.at;
      try {
        return storage.transactionSync(() => runSynchronously(write));
      } catch (thrown) {
        // An alarm that was set inside is rolled back with the rest.
        alarm.at = alarmBefore;
        throw thrown;
      } finally {
        inTransaction = false;
      }
    },
  };
}

/** Blobs come back as ArrayBuffer here and as Uint8Array elsewhere; the port knows the latter. */
function toSqlRow(row: Record<string, SqlStorageValue>): SqlRow {
  const result: SqlRow = {};
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === "number") checkNumber(value);
    result[column] = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  }
  return result;
}
