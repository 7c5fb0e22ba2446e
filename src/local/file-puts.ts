import type { FileInfo } from "../protocol/rest.ts";
import type { Session } from "../session/session.ts";
import type { Directory } from "./directory.ts";
import { DirectoryFiles } from "./directory-files.ts";
import type { StagedBytes } from "./staged-bytes.ts";

export type FilePutsOptions = {
  session: Session;
  stages: StagedBytes;
  /** @throws GatewayError `path_refused` */
  openDirectory(): Directory;
};

/** The files that are put as a client does, and the log that tells of them. */
export class FilePuts {
  readonly #options: FilePutsOptions;
  readonly #putting = new Set<Promise<unknown>>();

  constructor(options: FilePutsOptions) {
    this.#options = options;
  }

  /**
   * A kill in between leaves a file that changed and no event that says so.
   *
   * @throws GatewayError `path_refused`, `too_large`
   */
  async put(rawPath: string, bytes: Uint8Array): Promise<FileInfo> {
    const putting = this.#put(rawPath, bytes);
    this.#putting.add(putting);
    try {
      return await putting;
    } finally {
      this.#putting.delete(putting);
    }
  }

  /** Resolves once those that are under way have come to their end, whichever it is. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#putting);
  }

  async #put(rawPath: string, bytes: Uint8Array): Promise<FileInfo> {
    const { session, stages, openDirectory } = this.#options;
    const { info } = await new DirectoryFiles(openDirectory(), stages).write(rawPath, bytes);
    session.log.commit((writer) => {
      const { path, sha256 } = info;
      writer.append({ type: "STATUS", data: { status: "file_changed", path, sha256 } }, null);
      session.wakeSoon();
    });
    session.follow();
    return info;
  }
}
