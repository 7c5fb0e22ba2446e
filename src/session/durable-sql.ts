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
      const cursor = storage.sql.exec(query, ...params);
      const columns = cursor.columnNames;
      // The platform makes arrays of values in half of the time that it takes to make objects.
      const rows = Array.from(cursor.raw(), (values) => toSqlRow(columns, values));
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
function toSqlRow(columns: readonly string[], values: readonly SqlStorageValue[]): SqlRow {
  const row: SqlRow = {};
  for (let index = 0; index < columns.length; index++) {
    const value = values[index] ?? null;
    if (typeof value === "number") checkNumber(value);
    row[columns[index] ?? ""] = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  }
  return row;
}
