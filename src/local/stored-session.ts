import { existsSync } from "node:fs";
import type { Sql } from "../engine/ports.ts";
import { notFound } from "../protocol/errors.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import type { Input } from "../protocol/inputs.ts";
import type { Session as SessionView } from "../protocol/rest.ts";
import { Answers } from "../session/answers.ts";
import { EventLog } from "../session/event-log.ts";
import { newId } from "../session/new-id.ts";
import { viewPending } from "../session/pending-inputs.ts";
import { hasTables, isUpToDate } from "../session/schema.ts";
import { viewSession } from "../session/session-view.ts";
import { deletingSince, readSettings, type Settings } from "../session/settings.ts";
import { type OpenTurn, openTurns } from "../session/turn-table.ts";
import { createToolRegistry } from "../tools/registry.ts";
import type { Home } from "./home.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";
import { folderOf } from "./session-directory.ts";

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
  return look(home, sessionId, (sql, settings) => {
    const log = new EventLog(sql, () => undefined, Date.now);
    const open = openTurns(sql);
    const pending = isUpToDate(sql) ? viewPending(sql, activeOf(open)?.turn_id ?? null) : [];
    return { settings, view: viewSession(settings, open, log, pending) };
  });
}

/** Something that people are asked, as it is stored. Takes nothing and writes nothing. @throws GatewayError `not_found` */
export function readInput(home: Home, gateway: GatewaySettings, sessionId: string, inputId: string): Input {
  const input = look(home, sessionId, (sql, settings) => {
    // One that was made before sessions asked anything.
    if (!isUpToDate(sql)) throw notFound();
    const answers = new Answers({
      sql,
      log: new EventLog(sql, () => undefined, Date.now),
      tools: createToolRegistry(folderOf(home, settings), settings.tools),
      now: Date.now,
      settings: () => settings,
      gateway,
      newInputId: () => newId("input"),
      wakeAt: () => undefined,
      active: () => activeOf(openTurns(sql)),
    });
    return answers.input(inputId);
  });
  if (input === null || input === "deleting") throw notFound();
  return input;
}

function activeOf(open: OpenTurn[]): OpenTurn | null {
  return open.find(({ status }) => status !== "queued") ?? null;
}

function look<T>(home: Home, sessionId: string, read: (sql: Sql, settings: Settings) => T): T | "deleting" | null {
  const database = openStored(home.databaseOf(sessionId));
  if (database === null) return null;
  try {
    const { sql } = database;
    // One transaction, so that all of it is of one moment.
    return sql.transaction(() => {
      const settings = hasTables(sql) ? readSettings(sql) : null;
      if (settings === null) return null;
      return deletingSince(sql) === null ? read(sql, settings) : "deleting";
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
