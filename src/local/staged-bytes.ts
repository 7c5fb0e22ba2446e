import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import { systemCode } from "./directory-error.ts";
import type { Disk } from "./disk.ts";
import { collect } from "./file-version.ts";
import { makeFolder } from "./home.ts";

/** The bytes of calls that are not applied yet, in a folder of the gateway's own: one file for each file they write. */
export class StagedBytes {
  readonly #disk: Disk;
  readonly #folder: string;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** Stores these, so that they outlive a power failure. */
  async put(files: { name: string; bytes: Uint8Array }[]): Promise<void> {
    if (files.length === 0) return;
    makeFolder(this.#folder);
    for (const { name, bytes } of files) await this.#put(name, bytes);
    const folder = this.#disk.openFolder(this.#folder);
    try {
      await this.#disk.fsyncFolder(folder);
    } finally {
      this.#disk.close(folder);
    }
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    const fd = this.#disk.create(join(this.#folder, name), 0o600);
    try {
      await this.#disk.write(fd, bytes);
      await this.#disk.fsync(fd);
    } finally {
      this.#disk.close(fd);
    }
  }

  /** Null where they are gone. */
  async read(name: string): Promise<Uint8Array | null> {
    const path = join(this.#folder, name);
    if (this.#disk.lstat(path) === null) return null;
    const fd = this.#disk.openFile(path);
    try {
      return await collect(this.#disk.chunks(fd), TOOL_FILE_MAX_BYTES);
    } finally {
      this.#disk.close(fd);
    }
  }

  /** Removes those that are there. What the disk does not let go is swept when the session is opened. */
  remove(names: string[]): void {
    for (const name of names) {
      const path = join(this.#folder, name);
      try {
        if (this.#disk.lstat(path) !== null) this.#disk.unlink(path);
      } catch (thrown) {
        const code = systemCode(thrown);
        if (code === null) throw thrown;
        console.error("staged bytes:", code);
      }
    }
  }
}

/**
 * Removes staged bytes that nothing needs any more, to be called when a session is opened, before anything runs in it.
 * `needed` are the names in what its calls have yet to do, see `stagedNamesOf`.
 */
export async function sweepStages(folder: string, needed: Iterable<string>): Promise<void> {
  const kept = new Set(needed);
  for (const name of await namesIn(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return [];
    throw thrown;
  }
}
