import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { isMigrated, STORED_BELOW } from "./state-folder.ts";

/** As wrangler makes it, which goes on with what was applied here, as this does with what wrangler applied. */
const APPLIED = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

export type Migrating = {
  state: string;
  /** The folder of the migrations. */
  migrations: string;
  /** The database's id on this machine. */
  database: string;
};

/**
 * Brings the catalog's tables up to date, before a gateway runs on them: in a runtime of its own, for wrangler takes longer
 * to load than that takes to run. Each migration is applied whole or not at all.
 *
 * @throws Failure
 */
export async function migrateState({ state, migrations, database }: Migrating): Promise<void> {
  if (isMigrated(state, migrations)) return;
  const { convertV4MiniflareOptions, Log, LogLevel, Miniflare } = await import("miniflare");
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      name: "migrations",
      modules: true,
      script: "export default {}",
      d1Databases: { CATALOG: database },
      resourcePersistencePath: join(state, STORED_BELOW),
      log: new Log(LogLevel.NONE),
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  try {
    const catalog = await runtime.getD1Database("CATALOG");
    await catalog.prepare(APPLIED).run();
    const applied = await catalog.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
    const names = new Set(applied.results.map(({ name }) => name));
    for (const name of readdirSync(migrations).sort()) {
      if (!name.endsWith(".sql") || names.has(name)) continue;
      await catalog.batch([
        catalog.prepare(readFileSync(join(migrations, name), "utf8")),
        catalog.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
      ]);
    }
  } catch (thrown) {
    throw new Failure(EXIT.failed, `The D1 migrations could not be applied: ${reasonOf(thrown)}`);
  } finally {
    await runtime.dispose();
  }
}
