import { createHash } from "node:crypto";
import { type BigIntStats, realpathSync, statSync } from "node:fs";
import type { Entry } from "../engine/ports.ts";
import { GatewayError } from "../protocol/errors.ts";
import { TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import { folderPrefix } from "../workspace/paths.ts";
import {
  DirectoryError,
  inTheWay,
  nameTooLong,
  noRegularFile,
  systemCode,
  toDirectoryError,
} from "./directory-error.ts";
import { namesByPath } from "./directory-names.ts";
import { Disk } from "./disk.ts";
import { collect, type DirectoryFile, versionFrom, versionSync } from "./file-version.ts";
import { followPath, temporaryName } from "./follow-path.ts";
import { CAN_HOLD, HeldFolders, NAME_MAX_BYTES, type Root } from "./held-folders.ts";
import { permissionsOf, type ReplaceOptions, replaceFile, versionAt } from "./replace-file.ts";

/** What a path leads to. `other` is a pipe, a socket or a device. */
export type Kind = "file" | "folder" | "other";

export type DirectoryOptions = {
  disk?: Disk;
  /** Whether names are looked up beneath open folders; by default where the system can do that. */
  byHandle?: boolean;
};

/**
 * One real directory, which nothing leaves: not over a symbolic link, whenever that was put there. Whatever else touches
 * the files of a workspace does so through this. Paths have passed the guard.
 *
 * Every method throws a `DirectoryError` for what cannot be had or done.
 */
export class Directory {
  readonly disk: Disk;
  readonly #root: Root;
  readonly #byHandle: boolean;

  /** @throws GatewayError `path_refused` where there is no directory */
  static open(path: string, options: DirectoryOptions = {}): Directory {
    try {
      const real = realpathSync.native(path);
      const stats = statSync(real, { bigint: true });
      if (stats.isDirectory()) return new Directory({ path: real, dev: stats.dev, ino: stats.ino }, options);
    } catch (thrown) {
      if (toDirectoryError(thrown, path) === thrown) throw thrown;
    }
    throw new GatewayError("path_refused", `There is no directory ${JSON.stringify(path)}.`);
  }

  private constructor(root: Root, { disk = new Disk(), byHandle = CAN_HOLD }: DirectoryOptions) {
    this.disk = disk;
    this.#root = root;
    this.#byHandle = byHandle;
  }

  /** Its absolute path, without links. */
  get root(): string {
    return this.#root.path;
  }

  /**
   * What lies directly in a folder (`""` is the root), in no certain order; nothing where there is no such folder. It
   * opens no file. A link to a file in the directory is listed as that file, one to a folder is left out, so that there
   * are no circles. Left out too is whatever no path can name, and what lies in a folder that may not be read.
   */
  entries(folder: string): Promise<Entry[]> {
    return this.#within(folder, async (held) => {
      const names = namesByPath(folder, await this.#names(held, folder).catch(nothingIfClosed));
      const entries: Entry[] = [];
      for (const [path, name] of names) {
        const stats = this.disk.lstat(held.at(name));
        const file = stats?.isSymbolicLink() ? this.#linkedFile(path) : stats;
        if (stats?.isDirectory()) entries.push({ kind: "folder", path: `${path}/` });
        else if (file?.isFile()) entries.push({ kind: "file", path, size: Number(file.size) });
      }
      held.verify();
      return entries;
    });
  }

  /** What stands at a path now; null for nothing. */
  kindSync(path: string): Kind | null {
    return this.#withinSync(path, (held) => {
      const place = followPath(held, path, { root: this.root, last: "follow" });
      if (place === "folder") return "folder";
      const stats = place?.found?.stats;
      if (stats === undefined) return null;
      return stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "other";
    });
  }

  /** Everything that lies directly in a folder, whether a path can name it or not. A link is no folder here. */
  childrenSync(folder: string): { path: string; isFolder: boolean }[] {
    return this.#withinSync(folder, (held) => {
      if (!this.#enter(held, folder)) return [];
      return this.disk.readdirSync(held.at()).map((name) => ({
        path: `${folderPrefix(folder)}${name.normalize("NFC")}`,
        isFolder: this.disk.lstat(held.at(name))?.isDirectory() ?? false,
      }));
    });
  }

  /** A file as it is now; null where there is none. */
  statSync(path: string): DirectoryFile | null {
    return this.#withinSync(path, (held) => {
      const fd = this.#openFile(held, path);
      if (fd === null) return null;
      try {
        return versionSync(this.disk, path, fd);
      } finally {
        this.disk.close(fd);
      }
    });
  }

  /** A file as it is now, with its bytes; without them over `TOOL_FILE_MAX_BYTES`. Null where there is none. */
  look(path: string): Promise<{ file: DirectoryFile; bytes: Uint8Array | null } | null> {
    return this.#withFile(path, async (fd, stats) => {
      const bytes = stats.size > TOOL_FILE_MAX_BYTES ? null : await collect(this.disk.chunks(fd), TOOL_FILE_MAX_BYTES);
      return { file: versionFrom(this.disk, path, fd, bytes), bytes };
    });
  }

  /** A file's bytes, or null for them if they are more than `maxBytes`; null where there is no file. */
  read(path: string, maxBytes: number): Promise<{ bytes: Uint8Array | null } | null> {
    return this.#withFile(path, async (fd, stats) => ({
      bytes: stats.size > maxBytes ? null : await collect(this.disk.chunks(fd), maxBytes),
    }));
  }

  /** What a client is told of a file, however large it is; null where there is none. `modifiedAt` is in ms. */
  describe(path: string): Promise<{ size: number; sha256: string; modifiedAt: number } | null> {
    return this.#withFile(path, async (fd, stats) => {
      const hash = createHash("sha256");
      let size = 0;
      for await (const chunk of this.disk.chunks(fd)) {
        hash.update(chunk);
        size += chunk.byteLength;
      }
      return { size, sha256: hash.digest("hex"), modifiedAt: Number(stats.mtimeMs) };
    });
  }

  /** @throws DirectoryError where `put` could never write, for what can be known beforehand */
  checkSync(path: string): void {
    if (path.split("/").some((name) => Buffer.byteLength(name) > NAME_MAX_BYTES)) throw nameTooLong(path);
    if (this.kindSync(path) === "other") throw noRegularFile(path);
  }

  /**
   * Puts a file in place, whole or not at all, and makes the folders that are missing. Over a link to a file in the
   * directory, that file is replaced. Gives false, and changes nothing, where the file is not as expected.
   */
  put(
    path: string,
    bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: ReplaceOptions,
  ): Promise<boolean> {
    return this.#within(path, async (held) => {
      let done = false;
      try {
        const place = followPath(held, path, { root: this.root, last: "follow", make: true });
        if (place === null || place === "folder") throw inTheWay(path);
        const before = place.found?.stats ?? null;
        if (before !== null && !before.isFile() && !before.isDirectory()) throw noRegularFile(path);
        done = await replaceFile(this.disk, held, { path, name: place.name, before }, bytes, options);
        return done;
      } finally {
        if (!done) held.unmake();
      }
    });
  }

  /** Puts a copy of a file of another directory in place, with its permissions. Does nothing where it is gone. */
  async copy(from: Directory, path: string, temporary: string): Promise<void> {
    await from.#withFile(path, (fd, stats) =>
      this.put(path, from.disk.chunks(fd), { temporary, mode: permissionsOf(stats) }),
    );
  }

  /**
   * Removes a file, and the folders that become empty by it, never the root. Of a link, the link is removed. Gives false,
   * and changes nothing, where the file is not as expected.
   */
  remove(path: string, expected?: string | null): Promise<boolean> {
    return this.#within(path, async (held) => {
      const place = followPath(held, path, { root: this.root, last: "keep" });
      if (place === null || place === "folder" || place.found === null)
        return expected === undefined || expected === null;
      const { name, stats } = place.found;
      if (expected !== undefined) {
        const version = stats.isSymbolicLink() ? this.statSync(path)?.version : versionAt(this.disk, held, name);
        if ((version ?? null) !== expected) return false;
      }
      held.change(() => this.disk.unlink(held.at(name)));
      await held.sync();
      held.prune();
      await held.sync();
      return true;
    });
  }

  /** Removes the folders in which a removed file lay, if they are empty: one that was killed may have left them. */
  removeEmptyFolders(path: string): Promise<void> {
    return this.#within(path, async (held) => {
      const place = followPath(held, path, { root: this.root, last: "keep" });
      if (place === "folder" || (place !== null && place.found !== null)) return;
      held.prune();
      await held.sync();
    });
  }

  /**
   * Removes what a `put` that was killed has left beside its file, with the folders that become empty by it. False where
   * the system does not let it go; a path that leads elsewhere now leads to none.
   */
  async removeTemporary(path: string, temporary: string): Promise<boolean> {
    try {
      await this.#within(path, async (held) => {
        const place = followPath(held, path, { root: this.root, last: "follow" });
        const name = temporaryName(temporary);
        if (place === null || place === "folder" || this.disk.lstat(held.at(name)) === null) return;
        held.change(() => this.disk.unlink(held.at(name)));
        held.prune();
      });
      return true;
    } catch (thrown) {
      if (thrown instanceof DirectoryError) return thrown.kind === "refused";
      throw thrown;
    }
  }

  #enter(held: HeldFolders, folder: string): boolean {
    if (folder === "") return true;
    const place = followPath(held, folder, { root: this.root, last: "follow" });
    if (place === "folder") return true;
    if (!place?.found?.stats.isDirectory()) return false;
    held.enter(place.found.name);
    return true;
  }

  async #names(held: HeldFolders, folder: string): Promise<string[]> {
    return this.#enter(held, folder) ? this.disk.readdir(held.at()) : [];
  }

  /** What a link leads to, if that is in the directory. */
  #linkedFile(path: string): BigIntStats | null {
    try {
      using held = this.#hold();
      const place = followPath(held, path, { root: this.root, last: "follow" });
      return place === null || place === "folder" ? null : (place.found?.stats ?? null);
    } catch (thrown) {
      if (toDirectoryError(thrown, path) instanceof DirectoryError) return null;
      throw thrown;
    }
  }

  /** A regular file, open; null where there is none. */
  #openFile(held: HeldFolders, path: string): number | null {
    const place = followPath(held, path, { root: this.root, last: "follow" });
    if (place === null || place === "folder" || !place.found?.stats.isFile()) return null;
    const fd = openIfThere(held, place.found.name);
    if (fd === null || this.disk.fstat(fd).isFile()) return fd;
    this.disk.close(fd);
    return null;
  }

  #hold(): HeldFolders {
    return new HeldFolders(this.disk, this.#root, this.#byHandle);
  }

  async #within<T>(path: string, run: (held: HeldFolders) => Promise<T>): Promise<T> {
    try {
      using held = this.#hold();
      return await run(held);
    } catch (thrown) {
      throw toDirectoryError(thrown, path);
    }
  }

  #withinSync<T>(path: string, run: (held: HeldFolders) => T): T {
    try {
      using held = this.#hold();
      return run(held);
    } catch (thrown) {
      throw toDirectoryError(thrown, path);
    }
  }

  #withFile<T>(path: string, run: (fd: number, stats: BigIntStats) => Promise<T>): Promise<T | null> {
    return this.#within(path, async (held) => {
      const fd = this.#openFile(held, path);
      if (fd === null) return null;
      try {
        return await run(fd, this.disk.fstat(fd));
      } finally {
        this.disk.close(fd);
      }
    });
  }
}

/** A folder that is kept from us, or goes while others are listed, does not keep us from those. */
function nothingIfClosed(thrown: unknown): string[] {
  if (["EACCES", "EPERM", "ENOENT", "ENOTDIR"].includes(systemCode(thrown) ?? "")) return [];
  throw thrown;
}

/** Null for a file that went the moment after it was found. */
function openIfThere(held: HeldFolders, name: string): number | null {
  try {
    return held.openFile(name);
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return null;
    throw thrown;
  }
}
