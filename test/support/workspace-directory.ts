import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import { Directory } from "../../src/local/directory.ts";
import { DirectoryWorkspace } from "../../src/local/directory-workspace.ts";
import { Disk, type DiskStep } from "../../src/local/disk.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { StagedBytes, sweepStages } from "../../src/local/staged-bytes.ts";
import { createDriver } from "./workspace-driver.ts";

export type OpenOptions = { byHandle?: boolean; before?: (step: DiskStep, path: string) => void };

/** A real directory with a place for staged bytes beside it, in a folder of its own, which is gone at the end. */
export class DirectoryPlace implements Disposable {
  /** The parent of everything else. */
  readonly base = mkdtempSync(join(tmpdir(), "turnpike-directory-"));
  readonly files = join(this.base, "files");
  readonly stages = join(this.base, "state", "stages");

  constructor() {
    mkdirSync(this.files);
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true });
  }

  directory({ byHandle, before }: OpenOptions = {}): Directory {
    return Directory.open(this.files, { disk: new Disk(before), ...(byHandle === undefined ? {} : { byHandle }) });
  }

  workspace(options: OpenOptions = {}): DirectoryWorkspace {
    const directory = this.directory(options);
    const stages = new StagedBytes(this.stages, directory.disk);
    return new DirectoryWorkspace({ directory, stages, now: () => Date.now() });
  }

  /** What the contract is tested on. */
  host(options: OpenOptions = {}) {
    const sql = createNodeSql(new DatabaseSync(":memory:"));
    return { workspace: this.workspace(options), sql, leftovers: async () => this.leftovers() };
  }

  /** Makes files as anybody would; the folders come by themselves. */
  put(files: Record<string, string | Uint8Array>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.base, path)), { recursive: true });
      writeFileSync(join(this.base, path), content);
    }
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.base, path)), { recursive: true });
    symlinkSync(target, join(this.base, path));
  }

  /** The text of each file of the directory, and where each link leads. Folders that are empty end in a slash. */
  tree(): Record<string, string> {
    return Object.fromEntries(
      walk(this.files).flatMap(({ path, absolute, kind }) => {
        if (kind === "folder") return readdirSync(absolute).length === 0 ? [[`${path}/`, ""]] : [];
        return [[path, kind === "link" ? `-> ${readlinkSync(absolute)}` : readFileSync(absolute, "utf8")]];
      }),
    );
  }

  /** What is done while nothing runs. `needed` names the staged bytes of what is yet to be done. */
  sweep(needed: string[] = []): Promise<void> {
    return sweepStages(this.stages, needed, () => this.directory());
  }

  /** Staged bytes and temporary files. */
  leftovers(): string[] {
    const temporary = walk(this.files).filter(({ path }) => path.includes(".turnpike-"));
    return [...walk(this.stages), ...temporary].map(({ path }) => path);
  }
}

/** Runs over an empty directory, with the operations of a call on it. At the end nothing must be left of them. */
export async function withPlace(
  run: (place: DirectoryPlace, driver: ReturnType<typeof createDriver>) => Promise<void>,
  options: OpenOptions = {},
): Promise<void> {
  using place = new DirectoryPlace();
  await run(place, createDriver(place.host(options)));
  expect(place.leftovers()).toEqual([]);
}

/** Everything under a folder, to the byte and the moment, but for what lies under the paths in `except`. */
export function snapshot(folder: string, except: string[] = []): string[] {
  return walk(folder, except).map(({ path, absolute, kind }) => {
    const { mode, mtimeNs, ino, nlink } = lstatSync(absolute, { bigint: true });
    const content =
      kind === "file" ? readFileSync(absolute, "base64") : kind === "link" ? readlinkSync(absolute) : `${nlink}`;
    return [path, kind, mode, mtimeNs, ino, content].join(" ");
  });
}

type Kind = "file" | "folder" | "link" | "other";
type Walked = { path: string; absolute: string; kind: Kind };

function walk(folder: string, except: string[] = [], prefix = ""): Walked[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const [path, absolute] = [`${prefix}${name}`, join(folder, name)];
      if (except.includes(absolute)) return [];
      const kind = kindOf(absolute);
      return [{ path, absolute, kind }, ...(kind === "folder" ? walk(absolute, except, `${path}/`) : [])];
    });
}

function kindOf(path: string): Kind {
  const stats = lstatSync(path);
  if (stats.isDirectory()) return "folder";
  return stats.isSymbolicLink() ? "link" : stats.isFile() ? "file" : "other";
}
