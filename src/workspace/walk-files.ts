import type { Draft, FileEntry } from "../engine/ports.ts";

/** The files under a folder (`""` is the root), at any depth, in the order of their paths. */
export async function* walkFiles(draft: Draft, folder: string): AsyncGenerator<FileEntry, void> {
  for (const entry of await draft.entries(folder)) {
    if (entry.kind === "file") yield entry;
    else yield* walkFiles(draft, entry.path.slice(0, -1));
  }
}
