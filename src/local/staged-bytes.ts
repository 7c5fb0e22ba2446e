import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import type { Directory } from "./directory.ts";
import { systemCode } from "./directory-error.ts";
import { Disk } from "./disk.ts";
import { collect } from "./file-version.ts";
import { makeFolder } from "./home.ts";

/** As much as a staged file can begin with, before its bytes: a path takes 512 bytes. */
const HEAD_MAX_BYTES = 4096;

const LINE_END = 10;

type StagedFile = { name: string; path: string; bytes: Uint8Array };

/**
 * The bytes of calls that are not applied yet, in a folder of the gateway's own: one file for each file they write. It
 * begins with a line that says, as JSON, which path that is: beside it a temporary file of the same name may be left.
 */
export class StagedBytes {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #puts = new Set<Promise<void>>();
  #closed = false;

  /** The folder is made when it is first needed. */
  constructor(folder: string, disk = new Disk()) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** Nothing is stored from here on; waits for what is being stored. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#puts);
  }

  /** Stores these, so that they outlive a power failure. @throws once it is closed */
  async put(files: StagedFile[]): Promise<void> {
    if (files.length === 0) return;
    if (this.#closed) throw new Error("nothing is staged any more");
    const putting = this.#putAll(files);
    this.#puts.add(putting);
    try {
      await putting;
    } finally {
      this.#puts.delete(putting);
    }
  }

  async #putAll(files: StagedFile[]): Promise<void> {
    makeFolder(this.#folder);
    for (const file of files) await this.#put(file);
    const folder = this.#disk.openFolder(this.#folder);
    try {
      await this.#disk.fsyncFolder(folder);
    } finally {
      this.#disk.close(folder);
    }
  }

  async #put({ name, path, bytes }: StagedFile): Promise<void> {
    const fd = this.#disk.create(join(this.#folder, name), 0o600);
    try {
      await this.#disk.write(fd, new TextEncoder().encode(`${JSON.stringify(path)}\n`));
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
      const all = await collect(this.#disk.chunks(fd), HEAD_MAX_BYTES + TOOL_FILE_MAX_BYTES);
      return all?.subarray(all.indexOf(LINE_END) + 1) ?? null;
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
 * Removes staged bytes that nothing needs any more, and the temporary files that were left with them: to be called while
 * nothing runs in the session. `needed` are the names in what its calls have yet to do, see `stagedNamesOf`.
 */
export async function sweepStages(
  folder: string,
  needed: Iterable<string>,
  openDirectory: () => Directory,
): Promise<void> {
  const kept = new Set(needed);
  for (const name of await namesIn(folder)) {
    if (kept.has(name)) continue;
    const staged = join(folder, name);
    const path = pathIn(await readFile(staged));
    // As long as a temporary file stays, so do the bytes that tell of it.
    if (path === null || (await openDirectory().removeTemporary(path, name))) await rm(staged);
  }
}

/** The path that a staged file begins with; null for one that was not written that far, so that nothing came of it. */
function pathIn(bytes: Buffer): string | null {
  const end = bytes.indexOf(LINE_END);
  return end === -1 ? null : z.string().parse(JSON.parse(bytes.toString("utf8", 0, end)));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return [];
    throw thrown;
  }
}
