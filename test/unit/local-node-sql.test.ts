import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createNodeSql, openNodeSql } from "../../src/local/node-sql.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { testSql } from "../support/sql-contract.ts";

testSql("node:sqlite", (run) => run(createNodeSql(new DatabaseSync(":memory:"))));

const MODULE = new URL("../../src/local/node-sql.ts", import.meta.url).href;

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "turnpike-sql-"));
  file = join(folder, "it's.sqlite");
});
afterEach(() => rmSync(folder, { recursive: true }));

testSql("a database in a file", (run) => {
  const { sql, close } = openNodeSql(file);
  run(sql);
  close();
});

describe("a database file", () => {
  /** Runs lines of a program, with the file open as `sql`, in a process of its own. */
  const program = (lines: string): [string, string[], { cwd: string }] => {
    const source = `
      import { writeSync } from "node:fs";
      import { openNodeSql } from ${JSON.stringify(MODULE)};
      const { sql, close } = openNodeSql(${JSON.stringify(file)});
      ${lines}`;
    return [process.execPath, ["--input-type=module", "--eval", source], { cwd: folder }];
  };

  test("[SQL9] keeps what was committed, and syncs each commit", () => {
    const first = openNodeSql(file);
    first.sql.exec("CREATE TABLE names (name)");
    first.sql.exec("INSERT INTO names (name) VALUES ('a')");
    expect(first.sql.exec("SELECT * FROM pragma_journal_mode, pragma_synchronous")).toEqual([
      { journal_mode: "wal", synchronous: 2 },
    ]);
    first.close();
    first.close();
    expect(() => first.sql.exec("SELECT * FROM names")).toThrow();
    // What the journal held is in the file again, so that one file can be copied or removed.
    expect(readdirSync(folder)).toEqual(["it's.sqlite"]);
    const second = openNodeSql(file);
    expect(second.sql.exec("SELECT * FROM names")).toEqual([{ name: "a" }]);
    second.close();
  });

  test("[SQL9] opened to be read is not written, and sees what others commit", () => {
    expect(() => openNodeSql(file, { readOnly: true })).toThrow(file);
    expect(readdirSync(folder)).toEqual([]);
    const writer = openNodeSql(file);
    writer.sql.exec("CREATE TABLE names (name)");
    const reader = openNodeSql(file, { readOnly: true });
    expect(() => reader.sql.exec("INSERT INTO names (name) VALUES ('a')")).toThrow("readonly");
    const counts = reader.sql.transaction(() => {
      const count = () => reader.sql.exec("SELECT count(*) AS n FROM names")[0];
      const before = count();
      writer.sql.exec("INSERT INTO names (name) VALUES ('a')");
      return [before, count()];
    });
    expect(counts).toEqual([{ n: 0 }, { n: 0 }]);
    expect(reader.sql.exec("SELECT * FROM names")).toEqual([{ name: "a" }]);
    reader.close();
    writer.close();
  });

  test("[SQL9] of another program is refused and left as it is", () => {
    writeFileSync(file, "This is a letter to somebody.\n".repeat(100));
    const other = join(folder, "other.sqlite");
    const db = new DatabaseSync(other);
    db.exec("CREATE TABLE theirs (a)");
    db.close();
    const named = join(folder, "named.sqlite");
    const marked = new DatabaseSync(named);
    marked.exec("PRAGMA application_id = 1");
    marked.close();
    for (const path of [file, other, named]) {
      const before = readFileSync(path);
      for (const readOnly of [true, false]) {
        expect(() => openNodeSql(path, { readOnly })).toThrow(`The database ${path} cannot be used: `);
      }
      expect(readFileSync(path)).toEqual(before);
    }
    expect(() => openNodeSql(other)).toThrow("belongs to another program");
    expect(() => openNodeSql(folder)).toThrow(folder);
    expect(() => openNodeSql(join(folder, "none", "x.sqlite"))).toThrow("unable to open");
    expect(readdirSync(folder).sort()).toEqual(["it's.sqlite", "named.sqlite", "other.sqlite"]);
  });

  test("[SQL9] is opened and written by several processes at once", async () => {
    const counting = program(`
      sql.transaction(() => sql.exec("CREATE TABLE IF NOT EXISTS counters (n)"));
      for (let i = 0; i < 100; i++) {
        sql.transaction(() => {
          const [row] = sql.exec("SELECT max(n) AS n FROM counters");
          sql.exec("INSERT INTO counters (n) VALUES (?)", (row.n ?? 0) + 1);
        });
      }
      close();`);
    const outcomes = await Promise.all([1, 2, 3].map(() => runProcess(...counting)));
    expect(outcomes).toEqual(outcomes.map(() => ({ code: 0, stdout: "", stderr: "" })));
    const { sql, close } = openNodeSql(file);
    expect(sql.exec("SELECT count(*) AS count, max(n) AS last FROM counters")).toEqual([{ count: 300, last: 300 }]);
    close();
  });

  test("[SQL9] is made once, by whichever of several opens it first", async () => {
    // Threads, since these can be let go at the same moment; SQLite takes them for processes.
    const source = `
      const { workerData } = require("node:worker_threads");
      const { module, file, gate, threads, files } = workerData;
      import(module).then(({ openNodeSql }) => {
        for (let i = 0; i < files; i++) {
          Atomics.add(gate, i, 1);
          while (Atomics.load(gate, i) < threads);
          const { sql, close } = openNodeSql(file + i);
          sql.exec("CREATE TABLE IF NOT EXISTS names (name)");
          close();
        }
      });`;
    const [threads, files] = [2, 60];
    const gate = new Int32Array(new SharedArrayBuffer(4 * files));
    const workerData = { module: MODULE, file, gate, threads, files };
    const workers = Array.from({ length: threads }, () => new Worker(source, { eval: true, workerData }));
    onTestFinished(async () => {
      for (const worker of workers) await worker.terminate();
    });
    // `once` rejects with what a thread throws.
    const exits = await Promise.all(workers.map((worker) => once(worker, "exit")));
    expect(exits).toEqual(exits.map(() => [0]));
    for (let i = 0; i < files; i++) openNodeSql(`${file}${i}`, { readOnly: true }).close();
  });

  test("[SQL7] [SQL9] after a kill holds what was committed, and nothing of a transaction that was open", async () => {
    await using writer = new RunningProcess(
      ...program(`
        sql.exec("CREATE TABLE names (name)");
        sql.transaction(() => sql.exec("INSERT INTO names (name) VALUES ('kept')"));
        sql.transaction(() => {
          sql.exec("INSERT INTO names (name) VALUES ('lost')");
          writeSync(1, "writing");
          for (;;);
        });`),
    );
    await writer.printed(({ stdout }) => stdout === "writing");
    await writer.killGroup("SIGKILL");
    const { sql, close } = openNodeSql(file);
    expect(sql.exec("SELECT name FROM names")).toEqual([{ name: "kept" }]);
    sql.transaction(() => sql.exec("INSERT INTO names (name) VALUES ('next')"));
    close();
  });
});
