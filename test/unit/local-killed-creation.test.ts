import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, utimesSync } from "node:fs";
import { expect, test } from "vitest";
import { Home } from "../../src/local/home.ts";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { newId } from "../../src/session/new-id.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

/** Dies with its first write on the way, which the next one that opens the file for writing takes back. */
const DIE_WHILE_MAKING_IT = `
  const { DatabaseSync } = require("node:sqlite");
  const db = new DatabaseSync(process.argv[1]);
  db.exec("PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (v BLOB)");
  for (let i = 0; i < 50; i++) db.exec("INSERT INTO t VALUES (zeroblob(10000))");
  process.kill(process.pid, "SIGKILL");
`;

const LONG_AGO = new Date("2026-01-01");

test("[LOCAL8] a session that was killed as its database was made is not found, and goes with the next that is deleted", async () => {
  using folder = new TemporaryFolder();
  const home = Home.open(folder.path);
  const gateway = new InProcessGateway({ home: folder.path, models: {}, holder: "a test" });
  try {
    const [asked, other] = [newId("session"), newId("session")];
    for (const killed of [asked, other]) {
      mkdirSync(home.stateOf(killed), { recursive: true });
      spawnSync(process.execPath, ["-e", DIE_WHILE_MAKING_IT, home.databaseOf(killed)]);
      expect(existsSync(`${home.databaseOf(killed)}-journal`)).toBe(true);
    }
    await expect(gateway.resumeSession(asked)).rejects.toMatchObject({ code: "not_found" });
    utimesSync(home.stateOf(other), LONG_AGO, LONG_AGO);
    const { session_id } = await gateway.createSession();
    await gateway.deleteSession(session_id);
    expect(existsSync(home.stateOf(other))).toBe(false);
  } finally {
    await gateway.close();
  }
});
