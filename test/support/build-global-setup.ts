import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { PROJECT_ROOT } from "./gateway-process.ts";
import { runProcess } from "./run-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The command line as `npm run build` makes it. */
    builtMain: string;
  }
}

const FOLDER = join(PROJECT_ROOT, "node_modules/.cache/turnpike-test");

const DAY_MS = 86_400_000;

/** What it is made of, by way of `build.ts`; npm writes the last of them anew whenever it changes a package. */
const SOURCES = ["src", "tsconfig.json", "package.json", "node_modules/.package-lock.json"];

/**
 * Builds the command line once for all tests that start processes, each of which would take several times as long from
 * the sources. What Node compiles of them is kept by their path, so what has not changed stays where it is.
 */
export default async function setup(project: TestProject): Promise<void> {
  project.provide("builtMain", await buildCommandLine());
}

async function buildCommandLine(): Promise<string> {
  const script = join(PROJECT_ROOT, "build.ts");
  const version = versionOf([script, ...SOURCES.flatMap(filesBelow)]);
  const built = join(FOLDER, `cli-${version}`);
  if (!existsSync(built)) {
    const draft = join(FOLDER, `cli-${randomUUID()}`);
    mkdirSync(draft, { recursive: true });
    // What a clone has beside `dist`, where the command line looks for it.
    for (const name of ["src", "node_modules", "package.json", "tsconfig.json", "wrangler.toml", "migrations"])
      symlinkSync(join(PROJECT_ROOT, name), join(draft, name));
    const { code, stdout, stderr } = await runProcess(process.execPath, [script], { cwd: draft });
    if (code !== 0) throw new Error(`npm run build ended with ${code}:\n${stdout}\n${stderr}`);
    try {
      renameSync(draft, built);
    } catch (thrown) {
      // Another run of the tests was first.
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(built)) throw thrown;
    }
    for (const name of readdirSync(FOLDER).filter((name) => name.startsWith("cli-"))) {
      const isOld = statSync(join(FOLDER, name)).mtimeMs < Date.now() - DAY_MS;
      if (isOld) rmSync(join(FOLDER, name), { recursive: true, force: true });
    }
  }
  return join(built, "dist/cli/main.js");
}

function filesBelow(name: string): string[] {
  const path = join(PROJECT_ROOT, name);
  if (statSync(path).isFile()) return [path];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function versionOf(paths: string[]): string {
  const hash = createHash("sha256");
  for (const path of paths.sort()) {
    const content = readFileSync(path);
    hash.update(`${path}\n${content.byteLength}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}
