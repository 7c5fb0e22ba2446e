import type { BigIntStats } from "node:fs";
import { changedMeanwhile, systemCode } from "./directory-error.ts";
import type { Disk } from "./disk.ts";
import { versionSync } from "./file-version.ts";
import { temporaryName } from "./follow-path.ts";
import type { HeldFolders } from "./held-folders.ts";

export type ReplaceOptions = {
  /** Names the temporary file; nobody else may use it at the same time. */
  temporary: string;
  /** The version that the file must have when it is replaced, null for none; without it, any. */
  expected?: string | null;
  /** The permissions of a new file. One that is replaced keeps its own. */
  mode?: number;
  /** Once it is aborted, the file is not replaced any more. */
  signal?: AbortSignal | undefined;
};

/** What is to be replaced in the innermost of the held folders. `path` is how it is spoken of. */
type Target = { path: string; name: string; before: BigIntStats | null };

const NEW_FILE_MODE = 0o666;

/** The permissions that a file keeps. To run as another user is not among them. */
export function permissionsOf({ mode }: BigIntStats): number {
  return Number(mode & 0o777n);
}

/**
 * Puts a file in place by a temporary one beside it, whole or not at all. Gives false, and changes nothing, where the
 * file is not as expected.
 */
export async function replaceFile(
  disk: Disk,
  held: HeldFolders,
  { path, name, before }: Target,
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { temporary, expected, mode = NEW_FILE_MODE, signal }: ReplaceOptions,
): Promise<boolean> {
  const temporaryFile = temporaryName(temporary);
  // One that a try before this one has left.
  if (disk.lstat(held.at(temporaryFile)) !== null) held.change(() => disk.unlink(held.at(temporaryFile)));
  const kept = before?.isFile() ? permissionsOf(before) : null;
  const fd = disk.create(held.at(temporaryFile), kept ?? mode);
  let done = false;
  try {
    held.verify(temporaryFile, fd);
    if (kept !== null && permissionsOf(disk.fstat(fd)) !== kept) disk.chmod(fd, kept);
    for await (const chunk of bytes) await disk.write(fd, chunk);
    await disk.fsync(fd);
    // From here to the rename nothing of this process comes in between.
    signal?.throwIfAborted();
    if (expected !== undefined && versionAt(disk, held, name) !== expected) return false;
    const written = disk.fstat(fd);
    const there = disk.lstat(held.at(temporaryFile));
    const replaced = disk.lstat(held.at(name));
    const isOurs = there?.dev === written.dev && there.ino === written.ino;
    if (!isOurs || replaced?.isSymbolicLink()) throw changedMeanwhile(path);
    // A folder in which nothing lies is no folder of the workspace.
    if (replaced?.isDirectory()) held.change(() => disk.rmdir(held.at(name)));
    held.change(() => disk.rename(held.at(temporaryFile), held.at(name)));
    done = true;
  } finally {
    disk.close(fd);
    if (!done) tidy(disk, held, temporaryFile);
  }
  await held.sync();
  return true;
}

/** The version of the file under a name of the innermost folder; null where there is none. */
export function versionAt(disk: Disk, held: HeldFolders, name: string): string | null {
  const fd = held.find(name)?.stats.isFile() ? held.openFile(name) : null;
  if (fd === null) return null;
  try {
    return versionSync(disk, name, fd).version;
  } finally {
    disk.close(fd);
  }
}

/** Removes what a failure has left. The failure itself is the one to hear of. */
function tidy(disk: Disk, held: HeldFolders, temporaryFile: string): void {
  try {
    held.change(() => disk.unlink(held.at(temporaryFile)));
  } catch (thrown) {
    console.error("directory: a temporary file stays behind:", systemCode(thrown) ?? thrown);
  }
}
