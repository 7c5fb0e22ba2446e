import * as z from "zod";
import type { Sql } from "../engine/ports.ts";
import { IDEMPOTENCY_TTL_MS } from "../protocol/limits.ts";

/** A session that is on its way into a space, and was not created yet. `since` is in ms since the epoch. */
const entry = z.strictObject({ session_id: z.string(), space_id: z.string(), since: z.int() });
export type SpaceEntry = z.infer<typeof entry>;

/** Nobody can repeat a creation any more, whose key was claimed before it entered; an hour is for what is under way. */
export const ENTRY_TTL_MS = IDEMPOTENCY_TTL_MS + 3_600_000;

// A table of its own, since a database with `meta` is one that holds a session.

/** Stores where a session is about to go, before the register of spaces is told. An entry that is there stays. */
export function openEntry(sql: Sql, { session_id, space_id, since }: SpaceEntry): SpaceEntry {
  sql.exec(
    "CREATE TABLE IF NOT EXISTS entry (session_id TEXT PRIMARY KEY, space_id TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID",
  );
  const open = readEntry(sql);
  if (open !== null) return open;
  sql.exec("INSERT INTO entry (session_id, space_id, since) VALUES (?, ?, ?)", session_id, space_id, since);
  return { session_id, space_id, since };
}

/** Reads only. */
export function readEntry(sql: Sql): SpaceEntry | null {
  const isThere = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'entry'").length > 0;
  const row = isThere ? sql.exec("SELECT session_id, space_id, since FROM entry")[0] : undefined;
  return row === undefined ? null : entry.parse(row);
}

/** The session was created: from here on its settings say where it is. */
export function closeEntry(sql: Sql): void {
  sql.exec("DROP TABLE IF EXISTS entry");
}
