import {
  type Change,
  type Committed,
  type Entry,
  type OpenDraft,
  type Sql,
  type Staged,
  ToolError,
  type Workspace,
} from "../engine/ports.ts";
import { log } from "../logging/log.ts";
import { toTimestamp } from "../protocol/events.ts";
import type { FileInfo } from "../protocol/rest.ts";
import { describeFile } from "./describe-file.ts";
import { type DraftBase, OverlayDraft } from "./draft.ts";
import { currentFile, type FileVersion, fileInTheWay, listEntries, putVersion } from "./file-table.ts";
import { blobKey, deleteBlobs } from "./space-blobs.ts";
import { storageCall } from "./storage-call.ts";

/** The platform lets one invocation wait for six connections at once. */
const PARALLEL_UPLOADS = 6;

export type R2WorkspaceOptions = {
  /** The session's own database, which holds the table of files. */
  sql: Sql;
  bucket: R2Bucket;
  spaceId: string;
  /** Milliseconds since the epoch. */
  now: () => number;
};

/** A change whose bytes lie in the bucket; a removal has none. */
type StagedChange = { path: string; blobId: string; info: FileInfo | null };

type SeenFiles = ReadonlyMap<string, FileVersion | null>;

/** A workspace whose table of files stands in the session's database and whose bytes lie in R2, as immutable blobs. */
export class R2Workspace implements Workspace, DraftBase<FileVersion> {
  readonly #sql: Sql;
  readonly #bucket: R2Bucket;
  readonly #spaceId: string;
  readonly #now: () => number;

  constructor({ sql, bucket, spaceId, now }: R2WorkspaceOptions) {
    this.#sql = sql;
    this.#bucket = bucket;
    this.#spaceId = spaceId;
    this.#now = now;
  }

  openDraft(): OpenDraft {
    return new OverlayDraft(this);
  }

  async entries(folder: string): Promise<Entry[]> {
    return listEntries(this.#sql, folder);
  }

  async stat(path: string): Promise<FileVersion | null> {
    return currentFile(this.#sql, path);
  }

  async read(file: FileVersion): Promise<Uint8Array> {
    const key = blobKey(this.#spaceId, file.blob_id);
    const bytes = await storageCall(() => this.#bucket.get(key).then((blob) => blob?.arrayBuffer()));
    if (bytes?.byteLength === file.size) return new Uint8Array(bytes);
    log("error", "error", {
      where: "blob",
      blob_id: file.blob_id,
      expected_bytes: file.size,
      found_bytes: bytes?.byteLength ?? null,
    });
    throw new ToolError(`The bytes of ${file.path} are missing from the storage.`);
  }

  /** @throws ToolError when the storage fails; what was uploaded is removed then, or left to clean-up by stage id */
  async stage(stageId: string, changes: Change[], seen: SeenFiles): Promise<Staged> {
    const uploads = changes.map((change, i) => ({ ...change, blobId: `${stageId}.${i + 1}` }));
    const keys = uploads.flatMap(({ bytes, blobId }) => (bytes === null ? [] : [blobKey(this.#spaceId, blobId)]));
    let dropped = false;
    const discard = () => {
      dropped = true;
      return deleteBlobs(this.#bucket, keys);
    };
    try {
      const staged = await inBatches(uploads, PARALLEL_UPLOADS, async ({ path, bytes, blobId }) => ({
        path,
        blobId,
        info: bytes && (await this.#upload(path, bytes, blobId, () => dropped)),
      }));
      return { commit: (sql, seq) => this.#commit(sql, seq, staged, seen), discard };
    } catch (thrown) {
      // The first failure is the one to hear of. Blobs that outlive this are found by their stage id.
      await discard().catch(() => {});
      throw thrown;
    }
  }

  async finish(): Promise<never> {
    throw new Error("a commit over R2 leaves nothing to be done");
  }

  async #upload(path: string, bytes: Uint8Array, blobId: string, isDropped: () => boolean): Promise<FileInfo> {
    const info = await describeFile(path, bytes, this.#now());
    const key = blobKey(this.#spaceId, blobId);
    await storageCall(async () => {
      // R2 compares the digest with what arrives and refuses the upload if they differ.
      await this.#bucket.put(key, bytes, { sha256: info.sha256 });
      // It was given up, and has landed all the same.
      if (isDropped()) await this.#bucket.delete(key);
    });
    return info;
  }

  #commit(sql: Sql, seq: number, staged: StagedChange[], seen: SeenFiles): ReturnType<Staged["commit"]> {
    const conflict = findConflict(sql, staged, seen);
    if (conflict !== null) return { conflict };
    const modifiedAt = this.#now();
    const modified_at = toTimestamp(modifiedAt);
    const committed: Committed[] = [];
    for (const { path, blobId, info } of staged) {
      // A file that came and went within the call leaves no trace.
      if (info === null && seen.get(path) === null) continue;
      putVersion(sql, { path, seq, modifiedAt, content: info && { ...info, blob_id: blobId } });
      committed.push({ path, info: info && { ...info, modified_at } });
    }
    return { committed };
  }
}

/** The path of a file that is no longer as the call saw it, or that stands in the way of a new one. */
function findConflict(sql: Sql, staged: StagedChange[], seen: SeenFiles): string | null {
  for (const [path, file] of seen) {
    if (currentFile(sql, path)?.seq !== file?.seq) return path;
  }
  const leaving = new Set(staged.filter(({ info }) => info === null).map(({ path }) => path));
  for (const { path, info } of staged) {
    const inTheWay = info !== null && seen.get(path) === null ? fileInTheWay(sql, path, leaving) : null;
    if (inTheWay !== null) return inTheWay;
  }
  return null;
}

/** Runs `work` on every item, `size` at a time, and throws a failure only when nothing is under way any more. */
async function inBatches<Item, Result>(items: Item[], size: number, work: (item: Item) => Promise<Result>) {
  const results: Result[] = [];
  for (let i = 0; i < items.length; i += size) {
    for (const outcome of await Promise.allSettled(items.slice(i, i + size).map(work))) {
      if (outcome.status === "rejected") throw outcome.reason;
      results.push(outcome.value);
    }
  }
  return results;
}
