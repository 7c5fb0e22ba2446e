/**
 * The one build of the Worker, which `wrangler` uploads, `npm start` runs and the chaos run kills. Wrangler's own puts
 * everything into one file, which is loaded whole by every start. Run by itself, it writes what `main` of wrangler.toml
 * names.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { BuildFailure, Metafile, Plugin } from "esbuild";
import { EXIT, Failure, runProgram } from "./failure.ts";
import { PROJECT_ROOT } from "./settings.ts";

/** Below the project folder. In `dist`, which `npm run build` clears, it would come into the package as well. */
const OUTPUT = ".wrangler/worker";

/** A module of the Worker. */
export type WorkerModule = {
  /** Its path below the entry's folder, by which the others import it. */
  name: string;
  contents: string;
  /** Whether it is loaded when it is first needed, and not by each start. */
  lazy: boolean;
};

export type WorkerBuild = {
  /** The first is the entry. */
  modules: WorkerModule[];
  /** The source map of each module, by its name and `.map`. */
  maps: Map<string, string>;
};

const ENTRY = "index.js";
/** Beside the entry, in a folder that `rules` of wrangler.toml names. */
const PARTS = "parts";

/** The parts of the page at /docs. */
const pagesAsText: Plugin = {
  name: "pages-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]docs[\\/]docs\.(html|css|js)$/ }, ({ path }) => ({
      loader: "text",
      contents: readFileSync(path, "utf8"),
    }));
  },
};

/**
 * `@hono/zod-openapi` hands all of zod to a function that takes its `ZodType` and nothing else. All of zod is twice as
 * much as what is used of it, and three times with its 60 languages.
 */
const partOfZod: Plugin = {
  name: "part-of-zod",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^zod$/ }, ({ importer, resolveDir }) =>
      /[\\/]@hono[\\/]zod-openapi[\\/]/.test(importer)
        ? { path: "zod", namespace: "part-of-zod", pluginData: resolveDir }
        : undefined,
    );
    onLoad({ filter: /^zod$/, namespace: "part-of-zod" }, ({ pluginData }) => ({
      contents: 'import { ZodType } from "zod"; export const z = { ZodType };',
      resolveDir: pluginData,
    }));
  },
};

/**
 * Builds the Worker, in memory. What is imported only when it is needed becomes a module of its own.
 *
 * @param options `root`: the project folder. `entry`: the source of the Worker, below it
 * @throws Failure
 */
export async function buildWorker({
  root,
  entry = "src/index.ts",
}: {
  root: string;
  entry?: string;
}): Promise<WorkerBuild> {
  const { build, formatMessages } = await import("esbuild");
  const folder = join(root, OUTPUT);
  const built = await build({
    absWorkingDir: root,
    entryPoints: { index: entry },
    outdir: folder,
    chunkNames: `${PARTS}/[name]-[hash]`,
    write: false,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [pagesAsText, partOfZod],
    // Names stay: the stack of a log line is all that tells where an error came from, and no source map is applied to
    // it. They are 44 kB of 288, gzipped; to keep them as `name` alone takes 17, and a call for each function made.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    sourcemap: "linked",
    sourcesContent: false,
    metafile: true,
    logLevel: "silent",
  }).catch(async (thrown: unknown) => {
    if (!isBuildFailure(thrown)) throw thrown;
    const said = await formatMessages(thrown.errors, { kind: "error" });
    throw new Failure(EXIT.failed, `The Worker could not be bundled.\n${said.join("\n").trim()}`);
  });
  for (const warning of await formatMessages(built.warnings, { kind: "warning" })) process.stderr.write(warning);
  const files = built.outputFiles.map(({ path, text }) => ({ name: nameOf(path), text }));
  const eager = eagerOf(built.metafile);
  const modules = files
    .filter(({ name }) => !name.endsWith(".map"))
    .map(({ name, text }): WorkerModule => ({ name, contents: text, lazy: !eager.has(name) }))
    .sort((a, b) => Number(b.name === ENTRY) - Number(a.name === ENTRY));
  const maps = new Map(files.filter(({ name }) => name.endsWith(".map")).map(({ name, text }) => [name, text]));
  return { modules, maps };
}

/** Ends the program that builds, which is kept for further builds of this process. */
export async function endBuilds(): Promise<void> {
  const { stop } = await import("esbuild");
  await stop();
}

function nameOf(path: string): string {
  const [folder = "", file = ""] = path.split(/[\\/]/).slice(-2);
  return folder === PARTS ? `${PARTS}/${file}` : file;
}

function isBuildFailure(thrown: unknown): thrown is BuildFailure {
  return thrown instanceof Error && "errors" in thrown && Array.isArray(thrown.errors);
}

/** The modules that each start loads: the entry, and what is imported by `import … from` from there. */
function eagerOf({ outputs }: Metafile): Set<string> {
  const imports = new Map(Object.entries(outputs).map(([path, output]) => [nameOf(path), output.imports]));
  const eager = new Set<string>();
  const visit = (name: string) => {
    if (eager.has(name)) return;
    eager.add(name);
    for (const { path, kind, external } of imports.get(name) ?? [])
      if (kind === "import-statement" && external !== true) visit(nameOf(path));
  };
  visit(ENTRY);
  return eager;
}

/**
 * Writes what `main` of wrangler.toml names. Another build may write the same at this moment, or wrangler read what the
 * last one wrote: no file is ever half there, and the entry comes once its parts are there.
 */
export function writeWorker(folder: string, { modules, maps }: WorkerBuild): void {
  const entryLast = modules.map(({ name, contents }): [string, string] => [name, contents]).reverse();
  const files = new Map([...maps, ...entryLast]);
  mkdirSync(join(folder, PARTS), { recursive: true });
  for (const [name, text] of files) {
    // Not among the parts, of which another build removes what it does not know.
    const draft = join(folder, `${basename(name)}.${process.pid}`);
    writeFileSync(draft, text);
    renameSync(draft, join(folder, name));
  }
  // Wrangler uploads every module that lies there.
  for (const file of readdirSync(join(folder, PARTS))) {
    if (!files.has(`${PARTS}/${file}`)) rmSync(join(folder, PARTS, file), { force: true });
  }
}

if (import.meta.main) {
  await runProgram(async () => {
    writeWorker(join(PROJECT_ROOT, OUTPUT), await buildWorker({ root: PROJECT_ROOT }));
    await endBuilds();
    return EXIT.complete;
  });
}
