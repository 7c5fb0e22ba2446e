import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { claimState, isMigrated } from "../../src/cli/state-folder.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

test.each(["/proc/nope/state", "/dev/null"])(
  "[START5] a state folder that cannot be made is wrong usage: %s",
  (state) => {
    const message = expect.stringContaining(`The state folder ${state} cannot be used: `);
    expect(() => claimState(state)).toThrow(expect.objectContaining({ exitCode: 2, message }));
  },
);

test("[START3] a state from before the newest migration is not taken for one that has it", () => {
  using state = new TemporaryFolder();
  const migrations = fileURLToPath(new URL("../../migrations/", import.meta.url));
  const folder = join(state.path, "v3/d1/miniflare-D1DatabaseObject");
  mkdirSync(folder, { recursive: true });
  using database = new DatabaseSync(join(folder, "one.sqlite"));
  database.exec("CREATE TABLE d1_migrations (name TEXT)");
  for (const name of readdirSync(migrations)) {
    expect(isMigrated(state.path, migrations)).toBe(false);
    database.prepare("INSERT INTO d1_migrations VALUES (?)").run(name);
  }
  expect(isMigrated(state.path, migrations)).toBe(true);
});
