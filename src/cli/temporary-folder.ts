import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder that goes when it is disposed of, or with this process. */
export class TemporaryFolder implements Disposable {
  readonly path: string;
  readonly #remove = () => rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });

  constructor(prefix: string) {
    this.path = mkdtempSync(join(realpathSync(tmpdir()), prefix));
    process.once("exit", this.#remove);
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#remove);
    this.#remove();
  }
}
