import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";
import { ROW_MAX_BYTES } from "../protocol/limits.ts";
import type { DurableAlarm } from "./durable-alarm.ts";

/** The `Sql` port over a Durable Object's SQLite, with the alarm that its transactions may set. */
export function createDurableSql(storage: DurableObjectStorage, alarm: DurableAlarm): Sql {
  return {
    exec<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
      for (const param of params) refuseOversized(param);
      const rows = storage.sql
        .exec(query, ...params)
        .toArray()
        .map(toSqlRow);
      // What a statement selects is the caller's word; SQL is not typed, and this is the one place that says so.
      return rows as Row[];
    },
    transaction<T>(write: () => T): T {
      const alarmBefore = alarm.at;
      try {
        return storage.transactionSync(() => {
          const result = write();
          // An async function would go on writing after the transaction had been committed.
          if (result instanceof Promise) throw new TypeError("a transaction cannot be async");
          return result;
        });
      } catch (thrown) {
        // An alarm that was set inside is rolled back with the rest.
        alarm.at = alarmBefore;
        throw thrown;
      }
    },
  };
}

/** Blobs come back as ArrayBuffer here and as Uint8Array elsewhere; the port knows the latter. */
function toSqlRow(row: Record<string, SqlStorageValue>): SqlRow {
  const entries = Object.entries(row);
  return Object.fromEntries(
    entries.map(([column, value]) => [column, value instanceof ArrayBuffer ? new Uint8Array(value) : value]),
  );
}

/** The platform refuses values over 2 MB; local workerd does not, so it is done here for both. */
function refuseOversized(param: SqlValue): void {
  if (param === null || typeof param === "number") return;
  // A string has at most three bytes a code unit, so that short ones need not be measured.
  if (param.length * 3 <= ROW_MAX_BYTES) return;
  const bytes = typeof param === "string" ? new TextEncoder().encode(param).byteLength : param.byteLength;
  if (bytes > ROW_MAX_BYTES) throw new RangeError(`a stored value of ${bytes} bytes is over the limit`);
}
