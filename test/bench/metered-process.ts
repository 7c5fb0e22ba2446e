/**
 * `node metered-process.ts TOKEN` runs the Worker that counts what it is billed for in workerd, over a folder that goes
 * with it, prints its address, and ends with whoever holds its stdin.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { buildWorker, endBuilds } from "../../src/cli/build-worker.ts";
import { WORKER } from "../../src/cli/local-gateway.ts";
import { migrateState } from "../../src/cli/migrate-state.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { STORED_BELOW } from "../../src/cli/state-folder.ts";

const state = mkdtempSync(join(tmpdir(), "turnpike-metered-"));
process.once("exit", () => rmSync(state, { recursive: true, force: true }));
process.stdin.on("end", () => process.exit()).resume();

const database = WORKER.d1Databases.CATALOG;
const [{ modules }] = await Promise.all([
  buildWorker({ root: PROJECT_ROOT, entry: "test/bench/metered-worker.ts" }),
  migrateState({ state, migrations: join(PROJECT_ROOT, "migrations"), database }),
]);
await endBuilds();
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...WORKER,
    host: "127.0.0.1",
    port: 0,
    modules: modules.map(({ name, contents }) => ({ type: "ESModule", path: join(PROJECT_ROOT, name), contents })),
    modulesRoot: PROJECT_ROOT,
    bindings: { GATEWAY_TOKEN: process.argv[2] ?? "", GATEWAY_MODEL: "demo" },
    resourcePersistencePath: join(state, STORED_BELOW),
    cf: false,
    telemetry: { enabled: false },
  }),
);
console.log((await miniflare.ready).origin);
