import { existsSync } from "node:fs";
import { notFound } from "../protocol/errors.ts";
import type { Session as SessionView } from "../protocol/rest.ts";
import { EventLog } from "../session/event-log.ts";
import { viewPending } from "../session/pending-inputs.ts";
import { hasTables, isUpToDate } from "../session/schema.ts";
import { viewSession } from "../session/session-view.ts";
import { deletingSince, readSettings, type Settings } from "../session/settings.ts";
import { openTurns } from "../session/turn-table.ts";
import type { Home } from "./home.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";

export type StoredSession = { settings: Settings; view: SessionView };

/** What a list of sessions orders its rows by: an old one never beats a newer one. */
export function versionOf({ settings, view }: StoredSession): number {
  return view.last_seq + settings.revision;
}

/**
 * What is stored of a session, whoever holds it and if nobody does. Takes nothing and writes nothing.
 *
 * @throws GatewayError `not_found`
 */
export function readStored(home: Home, sessionId: string): StoredSession {
  const stored = findStored(home, sessionId);
  if (stored === null || stored === "deleting") throw notFound();
  return stored;
}

/** The same; `deleting` for one whose deletion began, and null where none was made. */
export function findStored(home: Home, sessionId: string): StoredSession | "deleting" | null {
  const database = openStored(home.databaseOf(sessionId));
  if (database === null) return null;
  try {
    const { sql } = database;
    // One transaction, so that all of it is of one moment.
    return sql.transaction(() => {
      const settings = hasTables(sql) ? readSettings(sql) : null;
      if (settings === null) return null;
      if (deletingSince(sql) !== null) return "deleting";
      const log = new EventLog(sql, () => undefined, Date.now);
      const open = openTurns(sql);
      const active = open.find(({ status }) => status !== "queued")?.turn_id ?? null;
      const pending = isUpToDate(sql) ? viewPending(sql, active) : [];
      return { settings, view: viewSession(settings, open, log, pending) };
    });
  } finally {
    database.close();
  }
}

/** `SQLITE_READONLY_ROLLBACK`: what a write that was killed has left is to be taken back first, which is to write. */
const TO_BE_TAKEN_BACK = 776;

/** Null where there is none. */
function openStored(path: string): NodeSql | null {
  try {
    return openNodeSql(path, { readOnly: true });
  } catch (thrown) {
    // Killed before the file was in WAL mode, and so before anything of a session was stored in it.
    const cause = thrown instanceof Error ? thrown.cause : null;
    if (cause instanceof Error && "errcode" in cause && cause.errcode === TO_BE_TAKEN_BACK) return null;
    // Looked at afterwards: it may be removed at any time.
    if (existsSync(path)) throw thrown;
    return null;
  }
}
