/**
 * `node metered-process.ts TOKEN` runs the Worker that counts what it is billed for in workerd, prints its address, and
 * ends with whoever holds its stdin.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { buildWorker, endBuilds } from "../../src/cli/build-worker.ts";
import { WORKER } from "../../src/cli/local-gateway.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";

process.stdin.on("end", () => process.exit()).resume();

const { modules } = await buildWorker({ root: PROJECT_ROOT, entry: "test/bench/metered-worker.ts" });
await endBuilds();
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...WORKER,
    host: "127.0.0.1",
    port: 0,
    modules: modules.map(({ name, contents }) => ({ type: "ESModule", path: join(PROJECT_ROOT, name), contents })),
    modulesRoot: PROJECT_ROOT,
    bindings: { GATEWAY_TOKEN: process.argv[2] ?? "", GATEWAY_MODEL: "demo" },
    cf: false,
    telemetry: { enabled: false },
  }),
);
const { origin } = await miniflare.ready;
const catalog = await miniflare.getD1Database("CATALOG");
const folder = join(PROJECT_ROOT, "migrations");
for (const name of readdirSync(folder).sort()) {
  await catalog.batch([catalog.prepare(readFileSync(join(folder, name), "utf8"))]);
}
console.log(origin);
