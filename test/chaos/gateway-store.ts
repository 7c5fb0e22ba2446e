import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { STAGE_SWEEP_MS } from "../../src/session/stages.ts";
import { NO_REMAINS, type Remains } from "./host.ts";
import { readRemains } from "./read-remains.ts";
import { readCopy } from "./stored-copy.ts";

/** What a gateway has stored below its folder, while no process has it. */
export class GatewayStore {
  readonly #state: string;
  /** The database of each session that was found, for its name does not tell which it is. */
  readonly #files = new Map<string, string>();
  constructor(state: string) {
    this.#state = state;
  }

  remains(sessionId: string): Remains {
    const file = this.#sessionFile(sessionId);
    if (file === null) return NO_REMAINS;
    let keys: string[] | null = null;
    return readCopy(file, (db) =>
      readRemains(db, (stageId) => {
        keys ??= this.#blobKeys();
        return keys.some((key) => key.includes(`/${stageId}.`));
      }),
    );
  }

  /** Makes what was staged and not committed so old that it is swept next; returns the sessions that have such. */
  ageStages(sessionIds: readonly string[]): string[] {
    return sessionIds.filter((sessionId) => {
      const file = this.#sessionFile(sessionId);
      if (file === null) return false;
      using db = new DatabaseSync(file);
      return Number(db.prepare("UPDATE stages SET created_at = created_at - ?").run(STAGE_SWEEP_MS).changes) > 0;
    });
  }

  /** What has not gone that was to be swept: blobs of no file, and the tables of sessions that were removed. */
  unswept(kept: readonly string[], removed: readonly string[]): string[] {
    const keys = new Set(this.#blobKeys());
    const filesOf = (ids: readonly string[]) =>
      ids.flatMap((sessionId) => {
        const file = this.#sessionFile(sessionId);
        return file === null ? [] : [{ sessionId, file }];
      });
    return [
      ...filesOf(kept).flatMap(({ sessionId, file }) =>
        readCopy(file, (db) => strayBlobs(db, keys, new Set())).map((key) => `${sessionId}: ${key} was not swept`),
      ),
      ...filesOf(removed)
        .filter(({ file }) => readCopy(file, (db) => hasTable(db, "meta")))
        .map(({ sessionId }) => `${sessionId} was removed and still has its tables`),
    ];
  }

  leftBehind(kept: readonly string[], removed: readonly string[]): string[] {
    const left: string[] = [];
    const keys = new Set(this.#blobKeys());
    for (const sessionId of kept) {
      const file = this.#sessionFile(sessionId);
      if (file === null) left.push(`${sessionId} has no database`);
      else
        left.push(
          ...readCopy(file, (db) => strayBlobs(db, keys)).map((key) => `${sessionId}: ${key} is named nowhere`),
        );
      if (file !== null) {
        const missing = readCopy(file, (db) => missingBlobs(db, keys));
        left.push(...missing.map((key) => `${sessionId}: ${key} is missing`));
      }
    }
    left.push(...this.#catalogOf(removed));
    return left;
  }

  /** What the catalog, or the bucket, still has of sessions that were removed. */
  #catalogOf(removed: readonly string[]): string[] {
    const left: string[] = [];
    const spaces = new Set<string>();
    for (const file of databasesIn(join(this.#state, "d1/miniflare-D1DatabaseObject"))) {
      readCopy(file, (db) => {
        for (const sessionId of removed) {
          const listed = db.prepare("SELECT 1 FROM sessions WHERE session_id = ? AND summary IS NOT NULL");
          if (listed.get(sessionId) !== undefined) left.push(`${sessionId} is still listed`);
          const space = db.prepare("SELECT space_id FROM spaces WHERE session_id = ?").get(sessionId);
          if (space !== undefined) left.push(`${sessionId} is still in its space`);
        }
        for (const row of db.prepare("SELECT space_id FROM spaces").all()) spaces.add(String(row["space_id"]));
      });
    }
    for (const key of this.#blobKeys()) {
      if (!spaces.has(key.split("/")[1] ?? "")) left.push(`${key} belongs to no space`);
    }
    return left;
  }

  #sessionFile(sessionId: string): string | null {
    const known = this.#files.get(sessionId);
    if (known !== undefined) return known;
    const seen = new Set(this.#files.values());
    for (const file of databasesIn(join(this.#state, "do/turnpike-SessionObject"))) {
      if (seen.has(file)) continue;
      const found = readCopy(file, sessionOf);
      if (found !== null) this.#files.set(found, file);
    }
    return this.#files.get(sessionId) ?? null;
  }

  #blobKeys(): string[] {
    return databasesIn(join(this.#state, "r2/miniflare-R2BucketObject")).flatMap((file) =>
      readCopy(file, (db) =>
        hasTable(db, "_mf_objects")
          ? db
              .prepare("SELECT key FROM _mf_objects WHERE blob_id IS NOT NULL")
              .all()
              .map(({ key }) => String(key))
          : [],
      ),
    );
  }
}

function databasesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  return names.map((name) => join(folder, name));
}

function hasTable(db: DatabaseSync, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

function sessionOf(db: DatabaseSync): string | null {
  return settingOf(db, "session_id");
}

function settingOf(db: DatabaseSync, name: "session_id" | "space_id"): string | null {
  if (!hasTable(db, "meta")) return null;
  const row = db.prepare("SELECT json_extract(value, '$.' || ?) AS value FROM meta WHERE key = 'session'").get(name);
  return row === undefined ? null : String(row["value"]);
}

/** Blobs of the session's space that no file is made of, and under no stage that clean-up or a call that runs knows. */
function strayBlobs(db: DatabaseSync, keys: ReadonlySet<string>, stages = stagesIn(db)): string[] {
  const prefix = `blobs/${settingOf(db, "space_id")}/`;
  const named = columnOf(db, "SELECT blob_id AS value FROM files WHERE blob_id IS NOT NULL");
  return [...keys].filter((key) => {
    if (!key.startsWith(prefix)) return false;
    const blobId = key.slice(prefix.length);
    return !named.has(blobId) && !stages.has(blobId.replace(/\.\d+$/, ""));
  });
}

function stagesIn(db: DatabaseSync): Set<string> {
  const running = "SELECT stage_id FROM tool_calls WHERE status IN ('started', 'applying')";
  return columnOf(db, `SELECT stage_id AS value FROM stages UNION ${running}`);
}

/** Blobs that a file is made of and that are not there. */
function missingBlobs(db: DatabaseSync, keys: ReadonlySet<string>): string[] {
  const prefix = `blobs/${settingOf(db, "space_id")}/`;
  const named = columnOf(db, "SELECT blob_id AS value FROM files WHERE blob_id IS NOT NULL");
  return [...named].map((blobId) => `${prefix}${blobId}`).filter((key) => !keys.has(key));
}

function columnOf(db: DatabaseSync, query: string): Set<string> {
  return new Set(
    db
      .prepare(query)
      .all()
      .map(({ value }) => String(value)),
  );
}
