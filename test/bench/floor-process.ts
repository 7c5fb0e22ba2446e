/**
 * `node floor-process.ts MODEL_URL` runs the floor's Worker in workerd, prints its address, and ends with whoever holds
 * its stdin.
 */
import { join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

process.stdin.on("end", () => process.exit()).resume();

const { outputFiles } = await build({
  entryPoints: [join(import.meta.dirname, "floor-worker.ts")],
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:*"],
});
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: "floor",
    host: "127.0.0.1",
    port: 0,
    modules: true,
    script: outputFiles[0]?.text ?? "",
    compatibilityDate: "2026-10-01",
    bindings: { MODEL_URL: process.argv[2] ?? "" },
    durableObjects: {
      BROADCASTER: { className: "Broadcaster", useSQLite: true },
      ROWS: { className: "Rows", useSQLite: true },
    },
    d1Databases: { CATALOG: "CATALOG" },
    cf: false,
    telemetry: { enabled: false },
  }),
);
const catalog = await miniflare.getD1Database("CATALOG");
await catalog.prepare("CREATE TABLE rows (id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID").run();
console.log((await miniflare.ready).origin);
