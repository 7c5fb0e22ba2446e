import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ulid } from "ulid";
import { WORKER } from "../../src/cli/local-gateway.ts";
import { migrateState } from "../../src/cli/migrate-state.ts";
import { databaseFile } from "../../src/cli/state-folder.ts";
import type { Session } from "../../src/protocol/rest.ts";
import { foldTitle } from "../../src/protocol/session-list.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { listedSession } from "../support/listed-session.ts";

const YEAR_BEGAN = Date.parse("2026-01-01T00:00:00.000Z");
/** As far apart as sessions of a busy user. */
const APART_MS = 60_000;
/** One in so many has a turn that runs. */
const RUNNING_ONE_IN = 10_000;

/**
 * Puts sessions of one user into the index of a state that no gateway has begun to use: as rows of its SQLite file, for
 * to create them would take an hour.
 *
 * @returns the sessions, the oldest first; those that run are the oldest of each ten thousand
 */
export async function seedSessions(state: string, user_id: string, count: number): Promise<Session[]> {
  const database = WORKER.d1Databases.CATALOG;
  await migrateState({ state, migrations: join(PROJECT_ROOT, "migrations"), database });
  const file = databaseFile(state);
  if (file === null) throw new Error("The state has no database.");
  const sessions = Array.from({ length: count }, (_, number) => {
    const at = YEAR_BEGAN + number * APART_MS;
    const updated_at = new Date(at).toISOString();
    const status = number % RUNNING_ONE_IN === 0 ? "running" : "idle";
    const session_id = `session_${ulid(at)}`;
    const title = `What is to be done about number ${number}`;
    return listedSession({ session_id, user_id, title, status, created_at: updated_at, updated_at });
  });
  using db = new DatabaseSync(file);
  const insert = db.prepare(
    `INSERT INTO sessions (session_id, version, user_id, status, updated_at, title_folded, summary)
     VALUES (?, 1, ?, ?, ?, ?, ?)`,
  );
  db.exec("BEGIN");
  for (const session of sessions) {
    const { session_id, status, updated_at, title } = session;
    insert.run(session_id, user_id, status, updated_at, foldTitle(title ?? ""), JSON.stringify(session));
  }
  db.exec("COMMIT");
  return sessions;
}
