import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "../../src/local/home.ts";
import { readCopy } from "./stored-copy.ts";

/** Begins the names of the temporary files that the gateway makes beside a file that it replaces. */
const TEMPORARY = ".turnpike-tmp-";

/** See `ChaosHost.leftBehind`. */
export function leftBehind(home: Home, kept: readonly string[], removed: readonly string[]): string[] {
  const listed = readCopy(home.index, (db) => {
    const rows = db.prepare("SELECT session_id FROM sessions WHERE summary IS NOT NULL").all();
    return new Set(rows.map(({ session_id }) => String(session_id)));
  });
  return [
    ...kept.flatMap((sessionId) => strayOf(home, sessionId)),
    ...kept.filter((sessionId) => !listed.has(sessionId)).map((sessionId) => `${sessionId} is not listed`),
    ...removed.filter((sessionId) => listed.has(sessionId)).map((sessionId) => `${sessionId} is still listed`),
    ...removed.flatMap((sessionId) => placesOf(home, sessionId).filter((path) => existsSync(path))),
  ];
}

/** Temporary files of which no staged file tells the sweep. */
function strayOf(home: Home, sessionId: string): string[] {
  if (!existsSync(home.databaseOf(sessionId))) return [`${sessionId} has no database`];
  const stages = home.stagesOf(sessionId);
  const known = new Set(existsSync(stages) ? readdirSync(stages) : []);
  const files = readdirSync(home.filesOf(sessionId), { recursive: true, withFileTypes: true });
  const stray = files.filter(({ name }) => name.startsWith(TEMPORARY) && !known.has(name.slice(TEMPORARY.length)));
  return stray.map(({ parentPath, name }) => join(parentPath, name));
}

function placesOf(home: Home, sessionId: string): string[] {
  const state = home.stateOf(sessionId);
  return [state, `${state}.removed`, home.filesOf(sessionId), home.doorOf(sessionId)];
}
