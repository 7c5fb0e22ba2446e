import type { Sql } from "../../src/engine/ports.ts";

/** What takes away what each version of a session's tables added, from the second on. */
const ADDED: readonly (readonly string[])[] = [
  ["DROP TABLE steers", "ALTER TABLE idempotency DROP COLUMN steer"],
  [
    "DROP TABLE inputs",
    "DROP TABLE IF EXISTS context",
    "ALTER TABLE turns DROP COLUMN spent",
    "ALTER TABLE turns DROP COLUMN paused_at",
    "ALTER TABLE turns DROP COLUMN paused_ms",
  ],
  ["DROP TABLE revoked"],
];

/** Makes the tables of a session those that an older version of the gateway would have left. */
export function makeOlder(sql: Sql, version: 1 | 2 | 3): void {
  for (const statement of ADDED.slice(version - 1).flat()) sql.exec(statement);
  if (version === 1) sql.exec("DELETE FROM meta WHERE key = 'schema'");
  else sql.exec("UPDATE meta SET value = ? WHERE key = 'schema'", String(version));
}
