import { DatabaseSync } from "node:sqlite";
import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";
import {
  checkNumber,
  checkParameters,
  countParameters,
  createStatementCache,
  nestedTransaction,
  runSynchronously,
} from "../engine/sql-values.ts";

/** How long a statement waits for another process that is writing. */
const BUSY_TIMEOUT_MS = 5_000;
/** What SQLite's header of our databases says of whose they are: "Turn" in ASCII. */
const APPLICATION_ID = 0x5475726e;

const SQLITE_BUSY = 5;

/** The `Sql` port over node:sqlite, so that what needs a session's database runs without a platform. */
export function createNodeSql(db: DatabaseSync, { readOnly = false }: { readOnly?: boolean } = {}): Sql {
  const prepare = createStatementCache((query) => ({ count: countParameters(query), statement: db.prepare(query) }));
  // A transaction that only begins to write later could find that another process wrote meanwhile, and fail at once.
  const begin = readOnly ? "BEGIN" : "BEGIN IMMEDIATE";
  return {
    exec<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
      const { count, statement } = prepare(query);
      checkParameters(params, count);
      const rows = statement.all(...params);
      for (const row of rows) {
        // Integers are refused by node:sqlite itself.
        for (const value of Object.values(row)) if (typeof value === "number") checkNumber(value);
      }
      // What a statement selects is the caller's word; SQL is not typed.
      return rows as Row[];
    },
    transaction<T>(write: () => T): T {
      if (db.isTransaction) throw nestedTransaction();
      db.exec(begin);
      try {
        const result = runSynchronously(write);
        db.exec("COMMIT");
        return result;
      } catch (thrown) {
        // Some failures, such as a full disk, have ended it already.
        if (db.isTransaction) db.exec("ROLLBACK");
        throw thrown;
      }
    },
  };
}

/** A database file that is open. After `close`, which may be called twice, every statement throws. */
export type NodeSql = { sql: Sql; close(): void };

/**
 * Opens a database of Turnpike's. Without `readOnly` it is made where there is none, but not the folder that it lies in.
 * A commit has reached the disk when it returns. Several processes may have the same file open; one writes at a time.
 *
 * @throws Error that names the file, where it cannot be opened or is another program's; that is left as it is
 */
export function openNodeSql(file: string, { readOnly = false }: { readOnly?: boolean } = {}): NodeSql {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(file, { readOnly, timeout: BUSY_TIMEOUT_MS });
    prepareFile(db, readOnly);
  } catch (thrown) {
    db?.close();
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(`The database ${file} cannot be used: ${reason}.`, { cause: thrown });
  }
  const open = db;
  return {
    sql: createNodeSql(open, { readOnly }),
    close() {
      if (open.isOpen) open.close();
    },
  };
}

function prepareFile(db: DatabaseSync, readOnly: boolean): void {
  const found = db
    .prepare("SELECT application_id AS id, (SELECT count(*) FROM sqlite_schema) AS tables FROM pragma_application_id")
    .get();
  const isNew = found?.["id"] === 0 && found["tables"] === 0;
  if (!isNew && found?.["id"] !== APPLICATION_ID) throw new Error("it belongs to another program");
  if (readOnly) return;
  switchToWal(db);
  db.exec("PRAGMA synchronous = FULL");
  if (isNew) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
}

/** For this one step SQLite does not wait for others that are opening the file, which they may do when it is new. */
function switchToWal(db: DatabaseSync): void {
  const until = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      db.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (thrown) {
      const isBusy = thrown instanceof Error && "errcode" in thrown && thrown.errcode === SQLITE_BUSY;
      if (!isBusy || Date.now() > until) throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
