/**
 * The versioned table of a workspace's files. A change adds a row, so the workspace as of any event can be read: the
 * row with the highest `seq` up to it. There is no index beside the key, since every index costs a written row more.
 */
import type { Entry, Sql, SqlRow } from "../engine/ports.ts";
import { toTimestamp } from "../protocol/events.ts";
import type { FileInfo } from "../protocol/rest.ts";
import { folderPrefix, foldersOf } from "./paths.ts";

export const CREATE_FILES = `CREATE TABLE files (
  path TEXT NOT NULL,
  seq INTEGER NOT NULL,
  blob_id TEXT,
  size INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  PRIMARY KEY (path, seq)
) WITHOUT ROWID`;

/** A file as the event `seq` left it, and the blob that holds its bytes. */
export type FileVersion = FileInfo & { seq: number; blob_id: string };

/** What becomes of a path with the event `seq`: other content, or, with `null`, its removal. */
export type NewVersion = {
  path: string;
  seq: number;
  /** Milliseconds since the epoch. */
  modifiedAt: number;
  content: { blob_id: string; size: number; content_type: string; sha256: string } | null;
};

const COLUMNS = "path, seq, blob_id, size, content_type, sha256, modified_at";

/** Of `files AS file`: the last version of its path, and no removal. */
const IS_CURRENT = "blob_id IS NOT NULL AND seq = (SELECT max(seq) FROM files WHERE path = file.path)";
/** In UTF-8 no byte is as high as FF, so this stands behind everything that starts with the first parameter. */
const BEHIND = "(?1 || x'ff')";
/** Each statement has its price, and so has each row that is only leapt over. */
const ENTRIES_PAGE = 50;

type FileRow = SqlRow & {
  path: string;
  seq: number;
  blob_id: string | null;
  size: number;
  content_type: string;
  sha256: string;
  modified_at: number;
};

/** The file that stands at `path` now; null where there is none, whether there was one before or not. */
export function currentFile(sql: Sql, path: string): FileVersion | null {
  const [row] = sql.exec<FileRow>(`SELECT ${COLUMNS} FROM files WHERE path = ? ORDER BY seq DESC LIMIT 1`, path);
  return row === undefined ? null : toVersion(row);
}

/**
 * The current files whose path starts with `prefix` and comes after `after`, in the binary order of their UTF-8.
 * `after: ""` starts at the beginning; without `limit` there is none.
 */
export function listFiles(
  sql: Sql,
  { prefix, after, limit }: { prefix: string; after: string; limit?: number },
): FileVersion[] {
  const rows = sql.exec<FileRow>(
    `SELECT ${COLUMNS} FROM files AS file
     WHERE path >= max(?1, ?2) AND path <> ?2 AND path < ${BEHIND} AND ${IS_CURRENT} ORDER BY path LIMIT ?3`,
    prefix,
    after,
    limit ?? -1,
  );
  return rows.flatMap((row) => toVersion(row) ?? []);
}

/**
 * What lies directly in a folder (`""` is the root): the current files, and folders by what lies in them. Of a folder
 * it reads a page at most, however much lies in it.
 */
export function listEntries(sql: Sql, folder: string): Entry[] {
  const prefix = folderPrefix(folder);
  const entries = new Map<string, Entry>();
  for (let from = prefix; ; ) {
    const rows = sql.exec<{ path: string; size: number }>(
      `SELECT path, size FROM files AS file
       WHERE path >= ?2 AND path < ${BEHIND} AND ${IS_CURRENT} ORDER BY path LIMIT ?3`,
      prefix,
      from,
      ENTRIES_PAGE,
    );
    for (const { path, size } of rows) {
      const slash = path.indexOf("/", prefix.length);
      const entry: Entry =
        slash === -1 ? { kind: "file", path, size } : { kind: "folder", path: path.slice(0, slash + 1) };
      entries.set(entry.path, entry);
      // What follows a file begins with NUL at the least, and what follows a folder with "0", which follows "/".
      from = slash === -1 ? `${path}\0` : `${path.slice(0, slash)}0`;
    }
    if (rows.length < ENTRIES_PAGE) return [...entries.values()];
  }
}

/** Adds a version: one row. */
export function putVersion(sql: Sql, { path, seq, modifiedAt, content }: NewVersion): void {
  sql.exec(
    `INSERT INTO files (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    path,
    seq,
    content?.blob_id ?? null,
    content?.size ?? 0,
    content?.content_type ?? "",
    content?.sha256 ?? "",
    modifiedAt,
  );
}

/**
 * The file that keeps a new file from standing at `path`: one where a folder of the path must be, or one beneath it.
 * A directory could not hold both, and a workspace may come to live in one. Files in `leaving` are not counted.
 */
export function fileInTheWay(sql: Sql, path: string, leaving: ReadonlySet<string> = new Set()): string | null {
  for (const folder of foldersOf(path)) {
    if (!leaving.has(folder) && currentFile(sql, folder) !== null) return folder;
  }
  const beneath = listFiles(sql, { prefix: folderPrefix(path), after: "", limit: leaving.size + 1 });
  return beneath.find((file) => !leaving.has(file.path))?.path ?? null;
}

function toVersion({ blob_id, modified_at, ...row }: FileRow): FileVersion | null {
  return blob_id === null ? null : { ...row, blob_id, modified_at: toTimestamp(modified_at) };
}
