import { type Change, type Entry, type FileEntry, type OpenDraft, type Staged, ToolError } from "../engine/ports.ts";
import { TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import { folderPrefix } from "./paths.ts";

/** The committed files that a draft lies over. `Stored` is a file together with what tells its versions apart. */
export interface DraftBase<Stored extends FileEntry> {
  /** What lies directly in a folder (`""` is the root). */
  entries(folder: string): Promise<Entry[]>;
  stat(path: string): Promise<Stored | null>;
  /** The bytes of exactly this version. @throws where they cannot be had; a failure is never an empty file */
  read(file: Stored): Promise<Uint8Array>;
  /** Uploads `changes`. `seen` holds every file that the call looked at or changed, as it was at first sight. */
  stage(stageId: string, changes: Change[], seen: ReadonlyMap<string, Stored | null>): Promise<Staged>;
}

/**
 * One tool call's view of the workspace: its own changes over what is committed. A file keeps, for this call, the
 * version in which the call first saw it, so a commit can tell whether someone else changed it since.
 */
export class OverlayDraft<Stored extends FileEntry> implements OpenDraft {
  readonly #base: DraftBase<Stored>;
  /** The bytes of each changed file; null for one that is removed. */
  readonly #changes = new Map<string, Uint8Array | null>();
  readonly #seen = new Map<string, Promise<Stored | null>>();

  constructor(base: DraftBase<Stored>) {
    this.#base = base;
  }

  /** Whether anything was written or removed, be it with the bytes that were there. */
  get changed(): boolean {
    return this.#changes.size > 0;
  }

  async entries(folder: string): Promise<Entry[]> {
    const prefix = folderPrefix(folder);
    const entries = new Map((await this.#base.entries(folder)).map((entry) => [entry.path, entry]));
    for (const [path, bytes] of this.#changes) {
      if (!path.startsWith(prefix)) continue;
      const slash = path.indexOf("/", prefix.length);
      if (slash === -1) {
        if (bytes === null) entries.delete(path);
        else entries.set(path, { kind: "file", path, size: bytes.byteLength });
        continue;
      }
      const inner = path.slice(0, slash);
      // A folder is there for as long as anything lies in it.
      const isThere = bytes !== null || (await this.entries(inner)).length > 0;
      if (isThere) entries.set(`${inner}/`, { kind: "folder", path: `${inner}/` });
      else entries.delete(`${inner}/`);
    }
    return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async stat(path: string): Promise<FileEntry | null> {
    const change = this.#changes.get(path);
    if (change === undefined) return this.#look(path);
    return change && { path, size: change.byteLength };
  }

  async read(path: string): Promise<Uint8Array | null> {
    const change = this.#changes.get(path);
    if (change !== undefined) return change;
    const file = await this.#look(path);
    if (file === null) return null;
    refuseOversized(path, file.size);
    return this.#base.read(file);
  }

  /** @throws ToolError over `TOOL_FILE_MAX_BYTES` */
  write(path: string, bytes: Uint8Array): void {
    refuseOversized(path, bytes.byteLength);
    void this.#look(path);
    this.#changes.set(path, bytes);
  }

  remove(path: string): void {
    void this.#look(path);
    this.#changes.set(path, null);
  }

  async stage(stageId: string): Promise<Staged> {
    const changes = [...this.#changes].map(([path, bytes]) => ({ path, bytes }));
    const seen = new Map<string, Stored | null>();
    for (const [path, file] of this.#seen) seen.set(path, await file);
    return this.#base.stage(stageId, changes, seen);
  }

  /** The file at first sight. The look is begun at once, also by a write, which does not wait for its outcome. */
  #look(path: string): Promise<Stored | null> {
    let file = this.#seen.get(path);
    if (file === undefined) {
      file = this.#base.stat(path);
      // Whoever awaits it, `stage` at the latest, still meets the failure.
      file.catch(() => {});
      this.#seen.set(path, file);
    }
    return file;
  }
}

function refuseOversized(path: string, size: number): void {
  if (size <= TOOL_FILE_MAX_BYTES) return;
  throw new ToolError(`${path} has ${size} bytes; tools take files of at most ${TOOL_FILE_MAX_BYTES} bytes.`);
}
