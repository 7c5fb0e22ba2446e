import { existsSync } from "node:fs";
import { notFound } from "../protocol/errors.ts";
import type { Session as SessionView } from "../protocol/rest.ts";
import { EventLog } from "../session/event-log.ts";
import { hasTables } from "../session/schema.ts";
import { viewSession } from "../session/session-view.ts";
import { deletingSince, readSettings, type Settings } from "../session/settings.ts";
import { openTurns } from "../session/turn-table.ts";
import type { Home } from "./home.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";

/**
 * What is stored of a session, whoever holds it and if nobody does. Takes nothing and writes nothing.
 *
 * @throws GatewayError `not_found`
 */
export function readStored(home: Home, sessionId: string): { settings: Settings; view: SessionView } {
  const database = openStored(home.databaseOf(sessionId));
  try {
    const { sql } = database;
    // One transaction, so that all of it is of one moment.
    return sql.transaction(() => {
      const settings = hasTables(sql) && deletingSince(sql) === null ? readSettings(sql) : null;
      if (settings === null) throw notFound();
      const log = new EventLog(sql, () => undefined, Date.now);
      return { settings, view: viewSession(settings, openTurns(sql), log) };
    });
  } finally {
    database.close();
  }
}

function openStored(path: string): NodeSql {
  try {
    return openNodeSql(path, { readOnly: true });
  } catch (thrown) {
    // Looked at afterwards: it may be removed at any time.
    throw existsSync(path) ? thrown : notFound();
  }
}
