import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  lstatSync,
  mkdirSync,
  openSync,
  readdir,
  readdirSync,
  readlinkSync,
  read as readSome,
  readSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  write as writeSome,
} from "node:fs";
import { promisify } from "node:util";
import { systemCode } from "./directory-error.ts";

/** What can be asked of the disk; each is one call on the operating system. */
export type DiskStep =
  | "openFolder"
  | "openFile"
  | "create"
  | "lstat"
  | "readdir"
  | "readlink"
  | "read"
  | "write"
  | "fsync"
  | "fsyncFolder"
  | "chmod"
  | "mkdir"
  | "rename"
  | "unlink"
  | "rmdir";

/** A link in the last name is never followed; a pipe is not waited for. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const FOLDER = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY;
const CREATE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_CREAT | constants.O_EXCL;

const readAsync = promisify(readSome);
const writeAsync = promisify(writeSome);
const fsyncAsync = promisify(fsync);
const readdirAsync = promisify(readdir);

/** What file systems over a network, and some of Windows', say to the fsync of a folder. */
const NOT_OFFERED = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF"]);

const CHUNK_BYTES = 256 * 1024;
const SMALL_CHUNK_BYTES = 4 * 1024;

/**
 * The few calls that everything on a directory is made of. What decides is synchronous, so that nothing of this process
 * comes between a check and what it allows; what takes long is not.
 */
export class Disk {
  readonly #before: (step: DiskStep, path: string) => void;

  /** `before` is called ahead of each step; what it throws, the step throws. */
  constructor(before: (step: DiskStep, path: string) => void = () => {}) {
    this.#before = before;
  }

  /** @throws for what is no folder, a link to one included */
  openFolder(path: string): number {
    this.#before("openFolder", path);
    return openSync(path, FOLDER);
  }

  /** For reading. @throws for a link */
  openFile(path: string): number {
    this.#before("openFile", path);
    return openSync(path, READ);
  }

  /** A new file, to be written and read. @throws where anything stands */
  create(path: string, mode: number): number {
    this.#before("create", path);
    return openSync(path, CREATE, mode);
  }

  close(fd: number): void {
    closeSync(fd);
  }

  fstat(fd: number): BigIntStats {
    return fstatSync(fd, { bigint: true });
  }

  /** Of a link itself; null where there is nothing. */
  lstat(path: string): BigIntStats | null {
    this.#before("lstat", path);
    return lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
  }

  async readdir(path: string): Promise<string[]> {
    this.#before("readdir", path);
    return readdirAsync(path);
  }

  readdirSync(path: string): string[] {
    this.#before("readdir", path);
    return readdirSync(path);
  }

  readlink(path: string): string {
    this.#before("readlink", path);
    return readlinkSync(path);
  }

  /** What is left of an open file, in pieces. */
  async *chunks(fd: number): AsyncGenerator<Uint8Array, void> {
    const length = chunkLength(fd);
    for (;;) {
      this.#before("read", "");
      const { bytesRead, buffer } = await readAsync(fd, Buffer.allocUnsafeSlow(length), 0, length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  }

  *chunksSync(fd: number): Generator<Uint8Array, void> {
    const length = chunkLength(fd);
    for (;;) {
      this.#before("read", "");
      const buffer = Buffer.allocUnsafeSlow(length);
      const bytesRead = readSync(fd, buffer);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async write(fd: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      this.#before("write", "");
      at += (await writeAsync(fd, bytes, at, Math.min(CHUNK_BYTES, bytes.byteLength - at), null)).bytesWritten;
    }
  }

  /** What was written to a file before outlives a power failure. */
  async fsync(fd: number): Promise<void> {
    this.#before("fsync", "");
    await fsyncAsync(fd);
  }

  /** The same for the names in a folder, where the file system offers that. */
  async fsyncFolder(fd: number): Promise<void> {
    try {
      this.#before("fsyncFolder", "");
      await fsyncAsync(fd);
    } catch (thrown) {
      if (!NOT_OFFERED.has(systemCode(thrown) ?? "")) throw thrown;
    }
  }

  chmod(fd: number, mode: number): void {
    this.#before("chmod", "");
    fchmodSync(fd, mode);
  }

  mkdir(path: string): void {
    this.#before("mkdir", path);
    mkdirSync(path);
  }

  rename(from: string, to: string): void {
    this.#before("rename", to);
    renameSync(from, to);
  }

  unlink(path: string): void {
    this.#before("unlink", path);
    unlinkSync(path);
  }

  /** @throws for a folder that is not empty */
  rmdir(path: string): void {
    this.#before("rmdir", path);
    rmdirSync(path);
  }
}

/** How much of a file is read at a time. Most are small, and a large piece of memory for each keeps the collector busy. */
function chunkLength(fd: number): number {
  return Math.max(SMALL_CHUNK_BYTES, Math.min(CHUNK_BYTES, fstatSync(fd).size));
}
