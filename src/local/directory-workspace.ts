import {
  type Applied,
  type Change,
  type Committed,
  type Entry,
  type OpenDraft,
  type Sql,
  type Staged,
  ToolError,
  type Workspace,
} from "../engine/ports.ts";
import { toTimestamp } from "../protocol/events.ts";
import type { Json } from "../protocol/json.ts";
import { describeFile } from "../workspace/describe-file.ts";
import { type DraftBase, OverlayDraft } from "../workspace/draft.ts";
import type { Directory } from "./directory.ts";
import { DirectoryError, hiddenInTheWay, toDirectoryError } from "./directory-error.ts";
import { obstacleAt } from "./directory-obstacle.ts";
import { formatRedo, inOrder, parseRedo, type RedoChange } from "./directory-redo.ts";
import { type DirectoryFile, sha256Of, versionOf } from "./file-version.ts";
import type { StagedBytes } from "./staged-bytes.ts";

export type DirectoryWorkspaceOptions = {
  directory: Directory;
  /** For the bytes of calls that are not applied yet. */
  stages: StagedBytes;
  /** Milliseconds since the epoch. */
  now: () => number;
};

type SeenFiles = ReadonlyMap<string, DirectoryFile | null>;

/**
 * A workspace that is a directory, which others may change at any time. What a call changes is checked and decided in
 * the session's transaction, and then done by write and rename: `finish` may be killed anywhere and called again.
 */
export class DirectoryWorkspace implements Workspace, DraftBase<DirectoryFile> {
  readonly #directory: Directory;
  readonly #stages: StagedBytes;
  readonly #now: () => number;
  /** The bytes that a version was told by, until they are asked for: nobody can change them in between. */
  readonly #bytes = new WeakMap<DirectoryFile, Uint8Array>();

  constructor({ directory, stages, now }: DirectoryWorkspaceOptions) {
    this.#directory = directory;
    this.#stages = stages;
    this.#now = now;
  }

  openDraft(): OpenDraft {
    return new OverlayDraft(this);
  }

  entries(folder: string): Promise<Entry[]> {
    return inWords(folder, async () => {
      const entries = await this.#directory.entries(folder);
      return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    });
  }

  stat(path: string): Promise<DirectoryFile | null> {
    return inWords(path, async () => {
      const seen = await this.#directory.look(path);
      if (seen !== null && seen.bytes !== null) this.#bytes.set(seen.file, seen.bytes);
      return seen?.file ?? null;
    });
  }

  read(file: DirectoryFile): Promise<Uint8Array> {
    return inWords(file.path, async () => {
      const kept = this.#bytes.get(file);
      this.#bytes.delete(file);
      if (kept !== undefined) return kept;
      const seen = await this.#directory.look(file.path);
      if (seen?.bytes && seen.file.version === file.version) return seen.bytes;
      throw new ToolError(`${file.path} was changed by someone else meanwhile. Read it again.`);
    });
  }

  /** @throws ToolError for what could never be written, and where the bytes cannot be stored */
  stage(stageId: string, changes: Change[], seen: SeenFiles): Promise<Staged> {
    return inWords("the changes", async () => {
      for (const { path, bytes } of changes) if (bytes !== null) this.#directory.checkSync(path);
      const planned: RedoChange[] = [];
      const files: { name: string; path: string; bytes: Uint8Array }[] = [];
      for (const [i, { path, bytes }] of changes.entries()) {
        const before = seen.get(path)?.version ?? null;
        // A file that came and went within the call leaves no trace.
        if (bytes === null && before === null) continue;
        const name = `${stageId}.${i + 1}`;
        if (bytes !== null) files.push({ name, path, bytes });
        planned.push({ path, before, after: bytes && (await this.#describe(path, bytes, name)) });
      }
      await this.#refuseHidden(planned);
      const discard = async () => this.#stages.remove(files.map(({ name }) => name));
      try {
        await this.#stages.put(files);
      } catch (thrown) {
        // The first failure is the one to hear of. What outlives this is swept when the session is opened.
        await discard().catch(() => {});
        throw thrown;
      }
      return { commit: (sql, seq) => this.#commit(sql, seq, planned, seen), discard };
    });
  }

  finish(redo: Json, signal?: AbortSignal): Promise<Applied> {
    return inWords("the changes", async () => {
      const changes = parseRedo(redo);
      try {
        for (const change of inOrder(changes)) {
          signal?.throwIfAborted();
          if (!(await this.#apply(change, signal))) return { conflict: change.path };
        }
      } finally {
        // However it ended: a call is not tried again unless its process dies.
        await this.#removeStaged(changes);
      }
      return { committed: changes.map((change) => this.#committed(change)) };
    });
  }

  /** Does one change, if it is not done yet; false where the file is neither as before nor as after. */
  async #apply({ path, before, after }: RedoChange, signal?: AbortSignal): Promise<boolean> {
    const wanted = after === null ? null : versionOf(after.sha256);
    const current = () => this.#directory.statSync(path)?.version ?? null;
    const now = current();
    if (now === wanted) {
      if (after === null) await this.#directory.removeEmptyFolders(path);
      return true;
    }
    // Looked at before the bytes are: those may be gone with a try that ended here too.
    if (now !== before) return false;
    if (after === null) return this.#directory.remove(path, before);
    const bytes = await this.#stages.read(after.staged);
    if (bytes === null || sha256Of(bytes) !== after.sha256) {
      throw new ToolError(`The bytes that were to be written to ${path} are gone.`);
    }
    const options = { temporary: after.staged, expected: before, signal };
    if (!(await this.#directory.put(path, [bytes], options))) return false;
    // Whoever moved a folder of the path away meanwhile has the file there now.
    return current() === wanted;
  }

  /** With the temporary files that a try that was killed has left. What tells of one that stays, stays too. */
  async #removeStaged(changes: RedoChange[]): Promise<void> {
    for (const { path, after } of changes) {
      if (after === null) continue;
      if (await this.#directory.removeTemporary(path, after.staged)) this.#stages.remove([after.staged]);
    }
  }

  async #describe(path: string, bytes: Uint8Array, staged: string): Promise<RedoChange["after"]> {
    const { size, content_type, sha256 } = await describeFile(path, bytes, this.#now());
    return { staged, size, content_type, sha256 };
  }

  #committed({ path, after }: RedoChange): Committed {
    if (after === null) return { path, info: null };
    const { size, content_type, sha256 } = after;
    return { path, info: { path, size, content_type, sha256, modified_at: toTimestamp(this.#now()) } };
  }

  #commit(_sql: Sql, _seq: number, planned: RedoChange[], seen: SeenFiles): ReturnType<Staged["commit"]> {
    const conflict = this.#findConflict(planned, seen);
    if (conflict !== null) return { conflict };
    return planned.length === 0 ? { committed: [] } : { redo: formatRedo(planned) };
  }

  /** What lists do not show cannot be told as a conflict: whoever looks again finds nothing. @throws DirectoryError */
  async #refuseHidden(planned: RedoChange[]): Promise<void> {
    for (const [path, obstacle] of this.#obstacles(planned)) {
      const entries = await this.#directory.entries(obstacle.slice(0, Math.max(obstacle.lastIndexOf("/"), 0)));
      const isShown = entries.some((entry) => entry.path === obstacle || entry.path === `${obstacle}/`);
      if (!isShown) throw hiddenInTheWay(path);
    }
  }

  /** The new files that cannot stand where they are to, each with what is in its way. */
  *#obstacles(planned: RedoChange[]): Generator<[path: string, obstacle: string]> {
    const leaving = new Set(planned.filter(({ after }) => after === null).map(({ path }) => path));
    for (const { path, before, after } of planned) {
      if (before !== null || after === null) continue;
      const obstacle = orElse(path, () => obstacleAt(this.#directory, path, leaving));
      if (obstacle !== null) yield [path, obstacle];
    }
  }

  /** The path of a file that is no longer as the call saw it, or of what stands in the way of a new one. */
  #findConflict(planned: RedoChange[], seen: SeenFiles): string | null {
    for (const [path, file] of seen) {
      const isAsSeen = orElse(false, () => this.#directory.statSync(path)?.version === file?.version);
      if (!isAsSeen) return path;
    }
    for (const [, obstacle] of this.#obstacles(planned)) return obstacle;
    return null;
  }
}

/** What can no longer be looked at is no longer as it was seen. */
function orElse<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof DirectoryError) return otherwise;
    throw thrown;
  }
}

/** What a directory refuses, or the disk under it, is for the model to read. */
async function inWords<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const error = toDirectoryError(thrown, what);
    throw error instanceof DirectoryError ? new ToolError(error.message) : error;
  }
}
