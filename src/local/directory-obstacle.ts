import { foldersOf } from "../workspace/paths.ts";
import type { Directory } from "./directory.ts";

/**
 * What keeps a file from standing at `path`: something that is no folder where a folder of the path must be, or
 * something beneath it. Files in `leaving` are not counted, and neither is an empty folder at `path` itself, since a
 * folder of the workspace is what lies in it.
 *
 * @throws DirectoryError where the path cannot be looked at
 */
export function obstacleAt(
  directory: Directory,
  path: string,
  leaving: ReadonlySet<string> = new Set(),
): string | null {
  for (const folder of foldersOf(path)) {
    const kind = directory.kindSync(folder);
    if (kind !== null && kind !== "folder" && !leaving.has(folder)) return folder;
  }
  return directory.kindSync(path) === "other" ? path : stayingIn(directory, path, leaving);
}

/** What would keep a folder from going with what leaves it. */
function stayingIn(directory: Directory, folder: string, leaving: ReadonlySet<string>): string | null {
  for (const { path, isFolder } of directory.childrenSync(folder).sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (leaving.has(path)) continue;
    const isEmpty = isFolder && directory.childrenSync(path).length === 0;
    const staying = isFolder && !isEmpty ? stayingIn(directory, path, leaving) : path;
    if (staying !== null) return staying;
  }
  return null;
}
