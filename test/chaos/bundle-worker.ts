import { join } from "node:path";
import { build } from "esbuild";
import { PROJECT_ROOT } from "../support/gateway-process.ts";

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
    loader: { ".html": "text" },
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
  return outfile;
}
