import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { copyProject } from "./project-copy.ts";
import { type ProcessOptions, runProcess } from "./run-process.ts";

/** A Node as the system has it, whatever npm scripts put before it. */
export type Node = { version: string; folder: string };

/** The Node that runs the tests. */
export const PINNED_NODE: Node = { version: process.versions.node, folder: dirname(process.execPath) };

/** The first Node on the PATH, outside of packages, that is too old to hold sessions itself; null where there is none. */
export function findOlderNode(): Node | null {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const node = join(folder, "node");
    if (folder === "" || folder.includes("node_modules") || !existsSync(node)) continue;
    const version = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
    if (Number.parseInt(version, 10) < 24) return { version, folder };
  }
  return null;
}

/** The package as `npm pack` makes it of a fresh clone, installed into an empty folder as a user does. */
export class InstalledPackage implements Disposable {
  readonly root: string;
  /** An empty folder to run in. */
  readonly cwd: string;
  /** The paths in the package. */
  readonly files: string[];

  private constructor(root: string, cwd: string, files: string[]) {
    this.root = root;
    this.cwd = cwd;
    this.files = files;
  }

  static async create(): Promise<InstalledPackage> {
    const root = mkdtempSync(join(tmpdir(), "turnpike-installed-"));
    // Without one npm would install into the nearest folder above that has one.
    writeFileSync(join(root, "package.json"), '{"private": true}');
    using project = copyProject();
    await npm(project.root, "pack", "--pack-destination", root);
    const tarball = readdirSync(root).find((name) => name.endsWith(".tgz")) ?? "";
    const list = execFileSync("tar", ["-tzf", join(root, tarball)], { encoding: "utf8" });
    await npm(root, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--offline", `./${tarball}`);
    const cwd = join(root, "elsewhere");
    mkdirSync(cwd);
    return new InstalledPackage(
      root,
      cwd,
      list
        .trim()
        .split("\n")
        .map((path) => path.replace(/^package\//, "")),
    );
  }

  /** Runs the installed command on this Node, with `~` in the folder that is removed at disposal. */
  async run(node: Node, args: string[], { env = {}, ...options }: Partial<ProcessOptions> = {}) {
    const command = join(this.root, "node_modules/.bin/turnpike");
    const PATH = [node.folder, process.env["PATH"]].join(delimiter);
    return await runProcess(command, args, { cwd: this.cwd, env: { PATH, HOME: this.root, ...env }, ...options });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

async function npm(cwd: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await runProcess("npm", args, { cwd });
  if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
}
