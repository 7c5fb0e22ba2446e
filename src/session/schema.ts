import type { Sql } from "../engine/ports.ts";
import { CREATE_FILES } from "../workspace/file-table.ts";
import { readMeta, writeMeta } from "./settings.ts";

const STEERS = "CREATE TABLE steers (id INTEGER PRIMARY KEY, request TEXT NOT NULL, user_id TEXT NOT NULL)";

const INPUTS = `CREATE TABLE inputs (
    message_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    input_id TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    fallback TEXT,
    response TEXT,
    user_id TEXT,
    PRIMARY KEY (message_id, position, kind)
  ) WITHOUT ROWID`;

const REVOKED = "CREATE TABLE revoked (id TEXT PRIMARY KEY, until INTEGER) WITHOUT ROWID";

const CONTEXT = `CREATE TABLE context (
    id INTEGER PRIMARY KEY,
    cleared_to INTEGER NOT NULL,
    summarised_to INTEGER NOT NULL,
    summary TEXT,
    model TEXT,
    cleared_by_model INTEGER NOT NULL
  )`;

/**
 * A session's tables; STORAGE.md says what each column means. Rows written are money: no AUTOINCREMENT, no secondary
 * index, and text keys WITHOUT ROWID, since each of these writes a second row for every one that is meant.
 */
const TABLES = [
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
  `CREATE TABLE turns (
    turn_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    waited INTEGER NOT NULL,
    request TEXT NOT NULL,
    user_id TEXT NOT NULL,
    cursor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    first_seq INTEGER,
    last_seq INTEGER,
    model TEXT,
    fast_model TEXT,
    system TEXT,
    path TEXT,
    model_calls INTEGER NOT NULL DEFAULT 0,
    tool_calls INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 1,
    retry_at INTEGER,
    raised_max_tokens INTEGER NOT NULL DEFAULT 0,
    make_room INTEGER NOT NULL DEFAULT 0,
    starts INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    omitted INTEGER NOT NULL DEFAULT 0,
    usage TEXT,
    spent TEXT,
    paused_at INTEGER,
    paused_ms INTEGER
  ) WITHOUT ROWID`,
  "CREATE TABLE events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL, turn_id TEXT, at INTEGER NOT NULL, data TEXT)",
  `CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    turn_id TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    model TEXT,
    stop_reason TEXT,
    stop_details TEXT
  )`,
  `CREATE TABLE tool_calls (
    message_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    tool_use_id TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    stage_id TEXT,
    result TEXT,
    is_error INTEGER,
    PRIMARY KEY (message_id, position)
  ) WITHOUT ROWID`,
  CREATE_FILES,
  "CREATE TABLE stages (stage_id TEXT PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID",
  STEERS,
  INPUTS,
  CONTEXT,
  REVOKED,
  `CREATE TABLE idempotency (
    user_id TEXT NOT NULL,
    key TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    steer TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
  ) WITHOUT ROWID`,
];

/**
 * What each version added to the tables of the one before, from the second on. They only ever add, so that a session
 * which a newer version has opened can still be opened by this one.
 */
const ADDITIONS: readonly (readonly string[])[] = [
  [STEERS, "ALTER TABLE idempotency ADD COLUMN steer TEXT"],
  [
    INPUTS,
    CONTEXT,
    "ALTER TABLE turns ADD COLUMN spent TEXT",
    "ALTER TABLE turns ADD COLUMN paused_at INTEGER",
    "ALTER TABLE turns ADD COLUMN paused_ms INTEGER",
    // What the turns of before used is not in the catalog: it goes there with the index row, which is written again.
    "DELETE FROM meta WHERE key = 'indexed'",
  ],
  [REVOKED],
];
const VERSION = ADDITIONS.length + 1;

export function createTables(sql: Sql): void {
  for (const statement of TABLES) sql.exec(statement);
  writeMeta(sql, "schema", String(VERSION));
}

/** Brings the tables of a session up to date that an older version has made. */
export function upgradeTables(sql: Sql): void {
  const version = Number(readMeta(sql, "schema") ?? "1");
  if (version >= VERSION) return;
  sql.transaction(() => {
    for (const statement of ADDITIONS.slice(version - 1).flat()) sql.exec(statement);
    writeMeta(sql, "schema", String(VERSION));
  });
}

/** Whether the tables are those of this version: a session that is only looked at is not brought up to date. */
export function isUpToDate(sql: Sql): boolean {
  return Number(readMeta(sql, "schema") ?? "1") >= VERSION;
}

/** Whether this database holds a session. Reads only, so that asking for one that is not there writes nothing. */
export function hasTables(sql: Sql): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").length > 0;
}
