import type { BigIntStats } from "node:fs";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { changedMeanwhile, DirectoryError, systemCode } from "./directory-error.ts";
import type { Disk } from "./disk.ts";

/** A directory as it was opened: its real path, and what tells it from another that takes its place. */
export type Root = { path: string; dev: bigint; ino: bigint };

/** What stands under a name: the name as the disk has it, and its own status, a link's too. */
export type Found = { name: string; stats: BigIntStats };

/** Whether names can be looked up beneath an open folder, whatever has become of its path: Linux shows it as a path. */
export const CAN_HOLD = process.platform === "linux" && existsSync("/proc/self/fd");

/** No file system takes a longer name. */
export const NAME_MAX_BYTES = 255;

/**
 * The folders from a directory's root down to one in it, each held open, and none of them reached over a link. Names in
 * the innermost are looked up beneath the open folder itself, so whoever puts a link in a folder's place misleads nobody.
 *
 * Where the system cannot do that (`byHandle` is false), names go by their paths, and what was opened is compared with
 * what stands at each path before and after. Reading is as safe then; a folder that is swapped for a link and back within
 * the moment between such a check and the change that follows it could still lead that one change astray.
 */
export class HeldFolders implements Disposable {
  readonly #disk: Disk;
  readonly #root: Root;
  readonly #byHandle: boolean;
  readonly #open: { name: string; fd: number; made: boolean }[] = [];

  /** @throws DirectoryError where the root is not what it was */
  constructor(disk: Disk, root: Root, byHandle: boolean) {
    this.#disk = disk;
    this.#root = root;
    this.#byHandle = byHandle;
    this.#hold("", this.#openRoot(), false);
    const { dev, ino } = disk.fstat(this.fd);
    if (dev === root.dev && ino === root.ino) return;
    this[Symbol.dispose]();
    throw rootIsGone();
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.splice(0)) this.#disk.close(fd);
  }

  /** The innermost folder, open. */
  get fd(): number {
    const fd = this.#open.at(-1)?.fd;
    if (fd === undefined) throw new Error("the folders are closed");
    return fd;
  }

  get isRoot(): boolean {
    return this.#open.length === 1;
  }

  /** The innermost folder, or a name in it, for the disk. */
  at(name = ""): string {
    if (this.#byHandle) return `/proc/self/fd/${this.fd}/${name}`;
    return join(this.#pathOf(this.#open.length - 1), name);
  }

  /** What stands under a name in NFC, in whichever normal form the disk has it; null where there is nothing. */
  find(name: string): Found | null {
    if (Buffer.byteLength(name) > NAME_MAX_BYTES) return null;
    const stats = this.#disk.lstat(this.at(name));
    if (stats !== null) return { name, stats };
    // Of ASCII there is only one form.
    if (!/\P{ASCII}/u.test(name)) return null;
    const other = this.#disk
      .readdirSync(this.at())
      .sort()
      .find((one) => one.normalize("NFC") === name);
    const otherStats = other === undefined ? null : this.#disk.lstat(this.at(other));
    return other === undefined || otherStats === null ? null : { name: other, stats: otherStats };
  }

  /** Where a link leads, as it says itself. */
  readlink(name: string): string {
    return this.#disk.readlink(this.at(name));
  }

  /** Goes into a folder. @throws where it is none, such as a link that has just taken its place */
  enter(name: string, made = false): void {
    this.#hold(name, this.#disk.openFolder(this.at(name)), made);
    this.verify();
  }

  /** Goes out of the innermost folder; false at the root. */
  leave(): boolean {
    if (this.isRoot) return false;
    const last = this.#open.pop();
    if (last !== undefined) this.#disk.close(last.fd);
    return true;
  }

  /** Makes a folder and goes into it. Whoever was quicker is as welcome, if what they made is a folder. */
  make(name: string): void {
    let made = true;
    try {
      this.change(() => this.#disk.mkdir(this.at(name)));
    } catch (thrown) {
      if (systemCode(thrown) !== "EEXIST") throw thrown;
      made = false;
    }
    const depth = this.#open.length;
    try {
      this.enter(name, made);
    } catch (thrown) {
      // One that cannot be opened is not held, so that nothing else would remove it.
      if (made && this.#open.length === depth) this.#removeFolder(name);
      throw thrown;
    }
  }

  /** Opens a file of the innermost folder for reading. @throws where it is a link */
  openFile(name: string): number {
    const fd = this.#disk.openFile(this.at(name));
    try {
      this.verify(name, fd);
      return fd;
    } catch (thrown) {
      this.#disk.close(fd);
      throw thrown;
    }
  }

  /** Changes something in the innermost folder. */
  change(run: () => void): void {
    this.verify();
    run();
    this.verify();
  }

  /**
   * Without handles: whether each path still names the folder that is held, and `name` in the innermost the file that is
   * open as `fd`. @throws DirectoryError
   */
  verify(name?: string, fd?: number): void {
    if (this.#byHandle) return;
    for (const [level, folder] of this.#open.entries()) this.#compare(this.#pathOf(level), folder.fd, folder.name);
    if (name !== undefined && fd !== undefined) this.#compare(this.at(name), fd, name);
  }

  /** What was done in the innermost folder, and the folders that were made on the way, outlive a power failure. */
  async sync(): Promise<void> {
    const firstMade = this.#open.findIndex(({ made }) => made);
    const changed = firstMade === -1 ? this.#open.slice(-1) : this.#open.slice(firstMade - 1);
    for (const { fd } of changed) await this.#disk.fsyncFolder(fd);
  }

  /** Removes the innermost folder if it is empty, and so on outwards, never the root. */
  prune(): void {
    while (!this.isRoot) {
      const name = this.#open.at(-1)?.name ?? "";
      this.leave();
      if (!this.#removeFolder(name)) return;
    }
  }

  /** The same for those that were made on the way. What made them needless is the failure to hear of. */
  unmake(): void {
    try {
      for (let last = this.#open.at(-1); last?.made; last = this.#open.at(-1)) {
        this.leave();
        if (!this.#removeFolder(last.name)) return;
      }
    } catch (thrown) {
      console.error("directory: a folder stays behind:", systemCode(thrown) ?? thrown);
    }
  }

  /** Removes a folder of the innermost one; false where it stays: something lies in it, or the system says no. */
  #removeFolder(name: string): boolean {
    try {
      this.change(() => this.#disk.rmdir(this.at(name)));
      return true;
    } catch (thrown) {
      if (systemCode(thrown) === null) throw thrown;
      return false;
    }
  }

  #compare(path: string, fd: number, name: string): void {
    const held = this.#disk.fstat(fd);
    const there = this.#disk.lstat(path);
    if (there?.dev !== held.dev || there.ino !== held.ino) throw changedMeanwhile(name);
  }

  #openRoot(): number {
    try {
      return this.#disk.openFolder(this.#root.path);
    } catch (thrown) {
      throw systemCode(thrown) === null ? thrown : rootIsGone();
    }
  }

  #hold(name: string, fd: number, made: boolean): void {
    this.#open.push({ name, fd, made });
  }

  #pathOf(level: number): string {
    return join(this.#root.path, ...this.#open.slice(1, level + 1).map(({ name }) => name));
  }
}

function rootIsGone(): DirectoryError {
  return new DirectoryError("failed", "The workspace's directory is no longer the one that the session began with.");
}
