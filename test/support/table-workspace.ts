import { createHash } from "node:crypto";
import type { Change, Committed, Entry, OpenDraft, Sql, Staged, Workspace } from "../../src/engine/ports.ts";
import { contentTypeOf } from "../../src/workspace/content-type.ts";
import { type DraftBase, OverlayDraft } from "../../src/workspace/draft.ts";
import {
  currentFile,
  type FileVersion,
  fileInTheWay,
  listEntries,
  putVersion,
} from "../../src/workspace/file-table.ts";

export type TableWorkspaceOptions = {
  sql: Sql;
  /** Where the bytes lie, by blob id. */
  blobs: Map<string, Uint8Array>;
  now(): number;
  /** Awaited before each upload; what it throws fails the upload. */
  beforeUpload?(path: string): Promise<void>;
  /** The same for the removal of what was uploaded. */
  beforeDiscard?(): Promise<void>;
};

type SeenFiles = ReadonlyMap<string, FileVersion | null>;

/** A workspace in the session's own table of files, with the bytes in memory. */
export class TableWorkspace implements Workspace, DraftBase<FileVersion> {
  readonly #options: TableWorkspaceOptions;

  constructor(options: TableWorkspaceOptions) {
    this.#options = options;
  }

  openDraft(): OpenDraft {
    return new OverlayDraft(this);
  }

  async entries(folder: string): Promise<Entry[]> {
    return listEntries(this.#options.sql, folder);
  }

  async finish(): Promise<never> {
    throw new Error("nothing is left to be done");
  }

  async stat(path: string): Promise<FileVersion | null> {
    return currentFile(this.#options.sql, path);
  }

  async read({ blob_id }: FileVersion): Promise<Uint8Array> {
    const bytes = this.#options.blobs.get(blob_id);
    if (bytes === undefined) throw new Error(`no blob ${blob_id}`);
    return bytes;
  }

  async stage(stageId: string, changes: Change[], seen: SeenFiles): Promise<Staged> {
    const { blobs, beforeUpload, beforeDiscard } = this.#options;
    const named = changes.map((change, i) => ({ ...change, blobId: `${stageId}.${i + 1}` }));
    for (const { path, bytes, blobId } of named) {
      if (bytes === null) continue;
      await beforeUpload?.(path);
      blobs.set(blobId, bytes);
    }
    return {
      commit: (sql, seq) => this.#commit(sql, seq, named, seen),
      discard: async () => {
        await beforeDiscard?.();
        for (const { blobId } of named) blobs.delete(blobId);
      },
    };
  }

  #commit(sql: Sql, seq: number, changes: (Change & { blobId: string })[], seen: SeenFiles) {
    for (const [path, file] of seen) if (currentFile(sql, path)?.seq !== file?.seq) return { conflict: path };
    const leaving = new Set(changes.filter(({ bytes }) => bytes === null).map(({ path }) => path));
    const committed: Committed[] = [];
    for (const { path, bytes } of changes) {
      const inTheWay = bytes !== null && seen.get(path) === null ? fileInTheWay(sql, path, leaving) : null;
      if (inTheWay !== null) return { conflict: inTheWay };
    }
    const modifiedAt = this.#options.now();
    for (const { path, bytes, blobId } of changes) {
      if (bytes === null && seen.get(path) === null) continue;
      const content = bytes && {
        size: bytes.byteLength,
        content_type: contentTypeOf(path),
        sha256: createHash("sha256").update(bytes).digest("hex"),
      };
      putVersion(sql, { path, seq, modifiedAt, content: content && { ...content, blob_id: blobId } });
      const modified_at = new Date(modifiedAt).toISOString();
      committed.push({ path, info: content && { path, ...content, modified_at } });
    }
    return { committed };
  }
}
