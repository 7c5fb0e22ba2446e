import { z } from "zod";
import type { Sql } from "../engine/ports.ts";
import { metadata } from "../protocol/events.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { DERIVED_TITLE_CHARS } from "../protocol/limits.ts";

/** What a session is, as one row of `meta`. */
const settings = z.strictObject({
  session_id: z.string(),
  user_id: z.string(),
  title: z.string().nullable(),
  model: z.string(),
  fast_model: z.string().nullable(),
  system: z.string().nullable(),
  max_iterations: z.int(),
  metadata,
  space_id: z.string(),
  created_at: z.int(),
  /** When something other than the log last changed, in ms since the epoch. */
  changed_at: z.int(),
  /** Grows with each such change. */
  revision: z.int(),
});
export type Settings = z.infer<typeof settings>;

/** Null for a session that is not there, or no longer. */
export function readSettings(sql: Sql): Settings | null {
  const text = readMeta(sql, "session");
  return text === null ? null : settings.parse(JSON.parse(text));
}

export function writeSettings(sql: Sql, value: Settings): void {
  writeMeta(sql, "session", JSON.stringify(value));
}

/** When the session began to be deleted, in ms since the epoch; null for one that was not. */
export function deletingSince(sql: Sql): number | null {
  const text = readMeta(sql, "deleting");
  return text === null ? null : Number(text);
}

type MetaKey =
  | "session"
  /** The version of the index row that is known to be stored. */
  | "indexed"
  /** When the session began to be deleted, in ms since the epoch; it answers 404 from then on. */
  | "deleting";

export function readMeta(sql: Sql, key: MetaKey): string | null {
  return sql.exec<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)[0]?.value ?? null;
}

export function writeMeta(sql: Sql, key: MetaKey, value: string): void {
  sql.exec(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}

/** The title of a session that was given none: the first line of its first message. */
export function titleFrom(text: string): string {
  const line = text.trim().split("\n", 1)[0]?.trimEnd() ?? "";
  return line.length <= DERIVED_TITLE_CHARS ? line : `${firstChars(line, DERIVED_TITLE_CHARS - 1).trimEnd()}…`;
}
