import { appendFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { unstable_readConfig } from "wrangler";
import * as z from "zod";
import { buildWorker } from "../../src/cli/build-worker.ts";
import { wranglerIn } from "../../src/cli/call-wrangler.ts";
import { WORKER } from "../../src/cli/local-gateway.ts";
import { migrateState } from "../../src/cli/migrate-state.ts";
import { isMigrated } from "../../src/cli/state-folder.ts";
import { CloudflareApi } from "../support/cloudflare-api.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { copyProject } from "../support/project-copy.ts";
import { runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

test("[START10] [DEPLOY2] [DEPLOY4] [DEPLOY5] wrangler deploy makes what there is not yet and uploads what npm start runs too", async () => {
  await using api = await CloudflareApi.serve();
  vi.stubEnv("CLOUDFLARE_API_BASE_URL", api.baseUrl);
  vi.stubEnv("CLOUDFLARE_API_TOKEN", "no-token");
  vi.stubEnv("CLOUDFLARE_ACCOUNT_ID", "no-account");
  const settingsBefore = readFileSync(join(PROJECT_ROOT, "wrangler.toml"), "utf8");
  try {
    const wrangler = wranglerIn(PROJECT_ROOT);
    const { ok, said, reported } = await wrangler(["deploy"]);
    expect(ok, said).toBe(true);
    const { modules, maps } = await buildWorker({ root: PROJECT_ROOT });
    expect(api.modules).toEqual(new Map(modules.map(({ name, contents }) => [name, contents])));
    expect(api.maps.sort()).toEqual([...maps.keys()].sort());

    expect(reported).toContainEqual(
      expect.objectContaining({ type: "deploy", targets: ["https://turnpike.example.workers.dev"] }),
    );
    expect(api).toMatchObject({ database: { name: "turnpike" }, bucket: { name: "turnpike" } });
    expect(api.bindings).toContainEqual({ name: "CATALOG", type: "d1", id: api.database?.uuid });
    expect(api.bindings).toContainEqual({ name: "BLOBS", type: "r2_bucket", bucket_name: "turnpike" });
    expect(readFileSync(join(PROJECT_ROOT, "wrangler.toml"), "utf8")).toBe(settingsBefore);

    const secrets = { GATEWAY_TOKEN: "a-token", ANTHROPIC_API_KEY: "a-key" };
    const set = await wrangler(["secret", "bulk"], JSON.stringify(secrets));
    expect(set.ok, set.said).toBe(true);
    expect(api.secrets).toEqual(secrets);
    expect(set.said).not.toMatch(/a-token|a-key/);
  } finally {
    vi.unstubAllEnvs();
  }
});

test("[START10] a source that has changed is in the next build, and one that cannot be bundled is told", async () => {
  using project = copyProject();
  const entry = join(project.root, "src/index.ts");
  const mark = "this is in the next build";
  const bundled = async () => JSON.stringify((await buildWorker({ root: project.root })).modules);
  expect(await bundled()).not.toContain(mark);
  appendFileSync(entry, `\nconsole.log("${mark}");\n`);
  expect(await bundled()).toContain(mark);
  appendFileSync(entry, "const;\n");
  const message = expect.stringMatching(/^The Worker could not be bundled\.\n[\s\S]*src\/index\.ts/);
  await expect(buildWorker({ root: project.root })).rejects.toMatchObject({ exitCode: 1, message });
});

/** What wrangler.toml may say of a Worker that runs here. */
const settings = z.object({
  name: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }),
  migrations: z.array(z.object({ new_sqlite_classes: z.array(z.string()).optional() })),
  d1_databases: z.array(z.object({ binding: z.string(), database_id: z.string().optional() })),
  r2_buckets: z.array(z.object({ binding: z.string(), bucket_name: z.string() })),
  ratelimits: z.array(z.object({ name: z.string() })),
});

test("[START10] npm start gives the Worker what wrangler.toml names", () => {
  const config = settings.parse(unstable_readConfig({ config: join(PROJECT_ROOT, "wrangler.toml") }));
  const { name, compatibility_date, compatibility_flags, durable_objects, d1_databases, r2_buckets } = config;
  const worker = { name, compatibilityDate: compatibility_date, compatibilityFlags: compatibility_flags };
  const objects = durable_objects.bindings.map((one) => [one.name, { className: one.class_name, useSQLite: true }]);
  expect(WORKER).toEqual({
    ...worker,
    durableObjects: Object.fromEntries(objects),
    // Without an id, wrangler keeps a database under the name of its binding.
    d1Databases: Object.fromEntries(d1_databases.map((one) => [one.binding, one.database_id ?? one.binding])),
    r2Buckets: Object.fromEntries(r2_buckets.map((one) => [one.binding, one.bucket_name])),
  });
  const classes = config.migrations.flatMap(({ new_sqlite_classes }) => new_sqlite_classes ?? []);
  expect(classes).toEqual(durable_objects.bindings.map((one) => one.class_name));
  expect(config.ratelimits.map((one) => one.name)).toEqual(["RATE_LIMITER"]);
});

test("[START3] [START10] migrations that wrangler applies are those that npm start applies, in the same database", async () => {
  const migrations = join(PROJECT_ROOT, "migrations");
  const database = WORKER.d1Databases.CATALOG;
  using byWrangler = new TemporaryFolder();
  const wrangler = join(PROJECT_ROOT, "node_modules/wrangler/bin/wrangler.js");
  const args = ["d1", "migrations", "apply", "CATALOG", "--local", "--persist-to", byWrangler.path];
  const { code, stderr } = await runProcess(process.execPath, [wrangler, ...args], { cwd: PROJECT_ROOT });
  expect(code, stderr).toBe(0);
  expect(isMigrated(byWrangler.path, migrations)).toBe(true);

  using own = new TemporaryFolder();
  // A state that was made before the last of the migrations.
  using older = new TemporaryFolder();
  for (const name of readdirSync(migrations).sort().slice(0, -1))
    cpSync(join(migrations, name), join(older.path, name));
  await migrateState({ state: own.path, migrations: older.path, database });
  expect(isMigrated(own.path, migrations)).toBe(false);
  await migrateState({ state: own.path, migrations, database });
  expect(isMigrated(own.path, migrations)).toBe(true);
  expect(catalogIn(own.path)).toEqual(catalogIn(byWrangler.path));

  writeFileSync(join(older.path, "9999_broken.sql"), "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);");
  await expect(migrateState({ state: own.path, migrations: older.path, database })).rejects.toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/^The D1 migrations could not be applied: .*nowhere/),
  });
  expect(catalogIn(own.path)).toEqual(catalogIn(byWrangler.path));
});

/** The one database of a state: its file, what is in it, and which migrations it has had. */
function catalogIn(state: string) {
  const folder = join(state, "v3/d1/miniflare-D1DatabaseObject");
  const files = readdirSync(folder).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  using database = new DatabaseSync(join(folder, files[0] ?? ""), { readOnly: true });
  const schema = database.prepare(
    "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
  );
  const tables = schema.all().filter(({ name }) => name !== "d1_migrations");
  return { files, tables, applied: database.prepare("SELECT id, name FROM d1_migrations").all() };
}
