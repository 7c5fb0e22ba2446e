import { randomUUID } from "node:crypto";
import * as z from "zod";
import { GatewayError, notFound } from "../protocol/errors.ts";
import { toTimestamp } from "../protocol/events.ts";
import { FILE_MAX_BYTES } from "../protocol/limits.ts";
import { formatPageCursor, parsePageCursor } from "../protocol/page-cursor.ts";
import type { FileInfo, FilePage } from "../protocol/rest.ts";
import { contentTypeOf } from "../workspace/content-type.ts";
import { workspacePath } from "../workspace/paths.ts";
import type { Directory } from "./directory.ts";
import { DirectoryError, inTheWay } from "./directory-error.ts";
import { obstacleAt } from "./directory-obstacle.ts";
import type { StagedBytes } from "./staged-bytes.ts";

/** Where a page ended: at its last path. */
const position = z.tuple([z.string()]);

/** The files of a directory as the session's clients handle them. Paths come raw and go through the guard here. */
export class DirectoryFiles {
  readonly #directory: Directory;
  readonly #stages: StagedBytes | null;

  /** Where others may come to see the directory, `stages` tells the next opening of what a kill has left in it. */
  constructor(directory: Directory, stages: StagedBytes | null = null) {
    this.#directory = directory;
    this.#stages = stages;
  }

  /**
   * Sorted by path, as in a workspace that is a table. Only the files of the page are read, for their sha256.
   *
   * @throws GatewayError `bad_cursor`
   */
  list({ prefix, limit, cursor }: { prefix: string; limit: number; cursor: string | null }): Promise<FilePage> {
    return forClients(async () => {
      const [after] = cursor === null ? [""] : parsePageCursor(cursor, position);
      const files: FileInfo[] = [];
      for await (const path of this.#walk("", prefix, after)) {
        const last = files.at(-1);
        if (files.length === limit && last !== undefined) return { files, next_cursor: formatPageCursor([last.path]) };
        const info = await this.#find(path).catch(passOver);
        if (info !== null) files.push(info);
      }
      return { files, next_cursor: null };
    });
  }

  /** @throws GatewayError `path_refused`, `not_found` */
  info(rawPath: string): Promise<FileInfo> {
    return forClients(async () => {
      const info = await this.#find(this.#guarded(rawPath));
      if (info === null) throw notFound();
      return info;
    });
  }

  /** @throws GatewayError `path_refused`, `not_found`, `too_large` for a file that no client could have sent */
  read(rawPath: string): Promise<Uint8Array> {
    return forClients(async () => {
      const file = await this.#directory.read(this.#guarded(rawPath), FILE_MAX_BYTES);
      if (file === null) throw notFound();
      return file.bytes ?? tooLarge();
    });
  }

  /** @throws GatewayError `path_refused`, `too_large` */
  write(rawPath: string, bytes: Uint8Array): Promise<{ info: FileInfo; created: boolean }> {
    return forClients(async () => {
      const path = this.#guarded(rawPath);
      if (bytes.byteLength > FILE_MAX_BYTES) tooLarge();
      this.#directory.checkSync(path);
      const created = this.#directory.kindSync(path) !== "file";
      const obstacle = created ? obstacleAt(this.#directory, path) : null;
      if (obstacle !== null) throw inTheWay(obstacle);
      await this.#put(path, bytes);
      const info = await this.#find(path);
      // Whoever removes it this soon has changed it after us.
      if (info === null) throw new GatewayError("unavailable", "The file was removed as soon as it was written.");
      return { info, created };
    });
  }

  /** Copies every file of another directory, for a session that starts with its files. @throws GatewayError */
  copyFrom(other: Directory): Promise<void> {
    return forClients(async () => {
      for await (const path of new DirectoryFiles(other).#walk("", "", "")) {
        await this.#directory.copy(other, path, randomUUID());
      }
    });
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = randomUUID();
    await this.#stages?.put([{ name: temporary, path, bytes: new Uint8Array() }]);
    try {
      await this.#directory.put(path, [bytes], { temporary });
    } finally {
      if (await this.#directory.removeTemporary(path, temporary)) this.#stages?.remove([temporary]);
    }
  }

  #guarded(rawPath: string): string {
    return workspacePath(rawPath, this.#directory.root);
  }

  async #find(path: string): Promise<FileInfo | null> {
    const file = await this.#directory.describe(path);
    if (file === null) return null;
    const { size, sha256, modifiedAt } = file;
    return { path, size, content_type: contentTypeOf(path), sha256, modified_at: toTimestamp(modifiedAt) };
  }

  /**
   * The paths after `after` that begin with `prefix`, in the order of their UTF-8. Folders in which none of them lies
   * are not looked into.
   */
  async *#walk(folder: string, prefix: string, after: string): AsyncGenerator<string, void> {
    const entries = await this.#directory.entries(folder);
    for (const { kind, path } of entries.sort((a, b) => compareUtf8(a.path, b.path))) {
      if (kind === "file") {
        if (path.startsWith(prefix) && compareUtf8(path, after) > 0) yield path;
        continue;
      }
      const mayMatch = path.startsWith(prefix) || prefix.startsWith(path);
      const mayFollow = after.startsWith(path) || compareUtf8(path, after) > 0;
      if (mayMatch && mayFollow) yield* this.#walk(path.slice(0, -1), prefix, after);
    }
  }
}

/** In the order of their UTF-8, which is that of their code points, and not that of their UTF-16. */
function compareUtf8(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

/** One file that the system keeps from us is no reason to show none. */
function passOver(thrown: unknown): null {
  if (thrown instanceof DirectoryError) return null;
  throw thrown;
}

function tooLarge(): never {
  throw new GatewayError("too_large", `A file may have at most ${FILE_MAX_BYTES} bytes.`);
}

/** What a directory refuses, or the disk under it, as an error that clients know. */
async function forClients<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof DirectoryError)) throw thrown;
    throw new GatewayError(thrown.kind === "refused" ? "path_refused" : "unavailable", thrown.message);
  }
}
