import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TemporaryFolder } from "./temporary-folder.ts";
import { runWrangler } from "./wrangler.ts";

/** Where what is made of the project lies, which may go at any time. */
export const CACHE = "node_modules/.cache/turnpike";

/** Those of other branches are kept as well, as long as there are few. */
const KEPT_BUNDLES = 5;

/** What says which packages are installed; npm writes it anew whenever it changes one. */
const INSTALLED = "node_modules/.package-lock.json";

/** A module of the Worker; the first of them is its entry. The parts of pages are modules of text beside it. */
export type WorkerModule = { type: "ESModule" | "Text"; path: string; contents: string };

const ENTRY = "index.js";
/** By a hash and the name of the source: `rules` in wrangler.toml. */
const TEXT = /-docs\.(html|css|js)$/;

/**
 * The Worker's modules, as `wrangler deploy` would upload them. To bundle it, and to load wrangler for that, takes
 * most of a start, so it is kept under the content of all that it is made of.
 *
 * @throws Failure
 */
export async function bundleWorker(root: string): Promise<WorkerModule[]> {
  const key = keyOfSources(root);
  const kept = key === null ? null : join(root, CACHE, `worker-${key}.json`);
  const found = kept === null ? null : readIfThere(kept);
  if (found !== null) return JSON.parse(found);

  using folder = new TemporaryFolder("turnpike-worker-");
  await runWrangler(root, ["deploy", "--dry-run", "--outdir", folder.path], "The Worker could not be bundled.");
  const texts = readdirSync(folder.path).filter((name) => TEXT.test(name));
  const bundle = [ENTRY, ...texts].map(
    (name): WorkerModule => ({
      type: name === ENTRY ? "ESModule" : "Text",
      path: name,
      contents: readFileSync(join(folder.path, name), "utf8"),
    }),
  );
  // Sources that were changed meanwhile may be in it or not.
  if (kept !== null && keyOfSources(root) === key) keep(kept, JSON.stringify(bundle));
  return bundle;
}

/** All that a bundle is made of, in short; null where that cannot be said. */
export function keyOfSources(root: string): string | null {
  try {
    const hash = createHash("sha256");
    const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort();
    for (const path of ["wrangler.toml", "tsconfig.json", "package.json", INSTALLED].map((name) => join(root, name)))
      add(path);
    for (const path of sources) add(path);
    return hash.digest("hex").slice(0, 32);

    function add(path: string): void {
      const content = readFileSync(path);
      hash.update(`${path.slice(root.length)}\n${content.byteLength}\n`).update(content);
    }
  } catch {
    return null;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Another start may read it, or keep the same one, at any moment. Where nothing can be kept, everything works as well. */
function keep(path: string, bundle: string): void {
  const folder = join(path, "..");
  const draft = `${path}.${randomUUID()}`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(draft, bundle);
    renameSync(draft, path);
    const bundles = readdirSync(folder)
      .filter((name) => name.startsWith("worker-"))
      .map((name) => ({ path: join(folder, name), madeAt: statSync(join(folder, name)).mtimeMs }))
      .sort((a, b) => b.madeAt - a.madeAt);
    for (const old of bundles.slice(KEPT_BUNDLES)) rmSync(old.path, { force: true });
  } catch {
    rmSync(draft, { force: true });
  }
}
