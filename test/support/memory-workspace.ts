import type { Change, Entry, Staged } from "../../src/engine/ports.ts";
import type { FileInfo } from "../../src/protocol/rest.ts";
import { describeFile } from "../../src/workspace/describe-file.ts";
import { type DraftBase, OverlayDraft } from "../../src/workspace/draft.ts";

/** Committed files in memory, for what needs files and no storage. Nothing can be staged. */
class MemoryBase implements DraftBase<FileInfo> {
  readonly #files = new Map<string, { bytes: Uint8Array; info: FileInfo }>();
  /** The paths whose bytes were read, in order. */
  readonly reads: string[] = [];

  async put(path: string, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.#files.set(path, { bytes, info: await describeFile(path, bytes, 0) });
  }

  async entries(folder: string): Promise<Entry[]> {
    const prefix = folder === "" ? "" : `${folder}/`;
    const entries = new Map<string, Entry>();
    for (const { info } of this.#files.values()) {
      if (!info.path.startsWith(prefix)) continue;
      const [name = "", ...below] = info.path.slice(prefix.length).split("/");
      const path = `${prefix}${name}${below.length === 0 ? "" : "/"}`;
      entries.set(path, below.length === 0 ? { kind: "file", path, size: info.size } : { kind: "folder", path });
    }
    return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async stat(path: string): Promise<FileInfo | null> {
    return this.#files.get(path)?.info ?? null;
  }

  async read({ path }: FileInfo): Promise<Uint8Array> {
    this.reads.push(path);
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`no bytes for ${path}`);
    return file.bytes;
  }

  stage(_stageId: string, _changes: Change[], _seen: ReadonlyMap<string, FileInfo | null>): Promise<Staged> {
    throw new Error("files in memory cannot be staged");
  }
}

/** A draft over the given files. */
export async function memoryDraft(files: Record<string, string | Uint8Array> = {}) {
  const base = new MemoryBase();
  for (const [path, content] of Object.entries(files)) await base.put(path, content);
  return { base, draft: new OverlayDraft(base) };
}
