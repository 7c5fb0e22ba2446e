import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { PROJECT_ROOT } from "../support/gateway-process.ts";

/** The parts of the page at /docs, as `rules` in wrangler.toml has them. */
const pagesAsText: Plugin = {
  name: "pages-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]docs[\\/]docs\.(html|css|js)$/ }, async ({ path }) => ({
      loader: "text",
      contents: await readFile(path, "utf8"),
    }));
  },
};

/** Bundles the Worker as wrangler does, once for all starts. Returns the file. */
export async function bundleWorker(folder: string): Promise<string> {
  const outfile = join(folder, "worker.mjs");
  await build({
    entryPoints: [join(PROJECT_ROOT, "test/chaos/worker.ts")],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    plugins: [pagesAsText],
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
  return outfile;
}
