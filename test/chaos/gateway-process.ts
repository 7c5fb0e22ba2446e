/**
 * The gateway in a process: `node gateway-process.ts '<options as JSON>'` runs the bundled Worker in workerd over a
 * folder, prints `ready`, and ends when it is killed, or with whoever holds its stdin.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import * as z from "zod";

const options = z
  .strictObject({
    /** The Worker's modules, the entry first. */
    modules: z.array(z.string()).min(1),
    /** Where sessions, files and databases are kept. */
    state: z.string(),
    port: z.int(),
    variables: z.record(z.string(), z.string()),
    /** The folder of the D1 migrations that are to be applied: once, to a state that is new. */
    migrations: z.string().nullable(),
  })
  .parse(JSON.parse(process.argv[2] ?? ""));

// Whoever started it has gone, however: nothing is to be left running.
process.stdin.on("end", () => process.exit()).resume();

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: "turnpike",
    host: "127.0.0.1",
    port: options.port,
    modules: options.modules.map((path) => ({ type: "ESModule", path })),
    modulesRoot: dirname(options.modules[0] ?? ""),
    // As in wrangler.toml.
    compatibilityDate: "2026-10-01",
    compatibilityFlags: ["nodejs_compat"],
    bindings: options.variables,
    durableObjects: { SESSIONS: { className: "SessionObject", useSQLite: true } },
    d1Databases: { CATALOG: "turnpike" },
    r2Buckets: { BLOBS: "turnpike" },
    resourcePersistencePath: options.state,
    // Else it asks the internet where it is.
    cf: false,
    telemetry: { enabled: false },
  }),
);
await miniflare.ready;
if (options.migrations !== null) await migrate(options.migrations);
console.log("ready");

async function migrate(folder: string): Promise<void> {
  const catalog = await miniflare.getD1Database("CATALOG");
  for (const name of readdirSync(folder).sort()) {
    const statements = readFileSync(join(folder, name), "utf8").replace(/--.*$/gm, "").split(";");
    for (const statement of statements) {
      if (statement.trim() !== "") await catalog.prepare(statement).run();
    }
  }
}
