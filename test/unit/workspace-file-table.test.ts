import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { Sql } from "../../src/engine/ports.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import {
  CREATE_FILES,
  currentFile,
  fileInTheWay,
  listEntries,
  listFiles,
  putVersion,
} from "../../src/workspace/file-table.ts";

let sql: Sql;
beforeEach(() => {
  sql = createNodeSql(new DatabaseSync(":memory:"));
  sql.exec(CREATE_FILES);
});

let blobs = 0;
function put(path: string, seq: number, blob_id = `stage.${++blobs}`): void {
  putVersion(sql, {
    path,
    seq,
    modifiedAt: seq,
    content: { blob_id, size: seq, content_type: "text/plain", sha256: `sha ${seq}` },
  });
}
function remove(path: string, seq: number): void {
  putVersion(sql, { path, seq, modifiedAt: seq, content: null });
}
const paths = (options: { prefix?: string; after?: string; limit?: number } = {}) =>
  listFiles(sql, { prefix: "", after: "", ...options }).map((file) => file.path);

describe("versions", () => {
  test("[FILE1] the current file is the one with the highest seq", () => {
    put("a", 9, "stage.9");
    put("a", 10, "stage.10");
    put("a", 2, "stage.2");
    const file = {
      path: "a",
      seq: 10,
      blob_id: "stage.10",
      size: 10,
      content_type: "text/plain",
      sha256: "sha 10",
      modified_at: "1970-01-01T00:00:00.010Z",
    };
    expect(currentFile(sql, "a")).toEqual(file);
    expect(listFiles(sql, { prefix: "", after: "" })).toEqual([file]);
  });

  test("[FILE1] a removed file is none, until it is written again", () => {
    put("a", 1);
    remove("a", 2);
    expect(currentFile(sql, "a")).toBeNull();
    expect(currentFile(sql, "b")).toBeNull();
    expect(paths()).toEqual([]);
    put("a", 3);
    expect(currentFile(sql, "a")?.seq).toBe(3);
    expect(paths()).toEqual(["a"]);
  });

  test("[FILE9] a version is never written over", () => {
    put("a", 1);
    expect(() => put("a", 1)).toThrow();
  });
});

const byUtf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe("lists", () => {
  test("[FILE1] a prefix is taken as it is", () => {
    for (const [i, path] of ["a%c", "a_c", "abc", "a", "ab", "b", "A"].entries()) put(path, i + 1);
    expect(paths()).toEqual(["A", "a", "a%c", "a_c", "ab", "abc", "b"]);
    expect(paths({ prefix: "a" })).toEqual(["a", "a%c", "a_c", "ab", "abc"]);
    expect(paths({ prefix: "a%" })).toEqual(["a%c"]);
    expect(paths({ prefix: "a_" })).toEqual(["a_c"]);
    expect(paths({ prefix: "abc" })).toEqual(["abc"]);
    expect(paths({ prefix: "abcd" })).toEqual([]);
  });

  test("[FILE1] pages of any size give every file with any prefix once, in order", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", "b", "/", "%", "é", "\uffff", "🙂", "\u{10ffff}"),
      minLength: 1,
    });
    const run = (names: string[], removed: number[], prefix: string, limit: number) => {
      sql.exec("DELETE FROM files");
      const standing = new Set(names);
      for (const [i, path] of names.entries()) put(path, i + 1);
      for (const i of removed) {
        const path = names[i % names.length];
        if (path === undefined || !standing.delete(path)) continue;
        remove(path, names.length + i + 1);
      }
      const found: string[] = [];
      for (;;) {
        const page = paths({ prefix, after: found.at(-1) ?? "", limit });
        found.push(...page);
        if (page.length < limit) break;
      }
      expect(found).toEqual([...standing].filter((path) => path.startsWith(prefix)).sort(byUtf8));
    };
    fc.assert(
      fc.property(
        fc.array(name, { maxLength: 12 }),
        fc.array(fc.nat(20)),
        fc.oneof(name, fc.constant("")),
        fc.integer({ min: 1, max: 5 }),
        run,
      ),
    );
  });
});

describe("files and folders", () => {
  test("[TOOL9] a folder has the entries that its files make, however many there are", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", "b", "0", ".", "é", "\u{10ffff}"),
      minLength: 1,
      maxLength: 3,
    });
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
    const run = (drawn: string[], removed: number[], many: number) => {
      sql.exec("DELETE FROM files");
      const crowd = Array.from({ length: many }, (_, i) => `${["a", "b/0", "é"][i % 3]}/${i}`);
      const names = [...drawn, ...crowd];
      const standing = new Set(names);
      for (const [i, file] of names.entries()) put(file, i + 1);
      for (const [i, at] of removed.entries()) {
        const file = names[at % names.length] ?? "";
        if (standing.delete(file)) remove(file, names.length + i + 1);
      }
      for (const folder of ["", "a", "b", "b/0", "é", "a/b", "\u{10ffff}"]) {
        const prefix = folder === "" ? "" : `${folder}/`;
        const inside = [...standing].filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length));
        const expected = new Set(inside.map((file) => prefix + file.replace(/\/.*/, "/")));
        const found = listEntries(sql, folder).map((entry) => entry.path);
        expect(found).toEqual([...expected].sort(byUtf8));
      }
    };
    fc.assert(fc.property(fc.array(path, { maxLength: 12 }), fc.array(fc.nat(200)), fc.nat(180), run));
  });

  test("[FILE12] a file stands in the way of files beneath it and of the folder that it would be", () => {
    put("a/b", 1);
    put("c", 2);
    expect(fileInTheWay(sql, "a")).toBe("a/b");
    expect(fileInTheWay(sql, "a/b/c")).toBe("a/b");
    expect(fileInTheWay(sql, "a/b/c/d")).toBe("a/b");
    expect(fileInTheWay(sql, "c/d")).toBe("c");
    expect(fileInTheWay(sql, "a/c")).toBeNull();
    expect(fileInTheWay(sql, "a/bc/d")).toBeNull();
    expect(fileInTheWay(sql, "cd")).toBeNull();
    expect(fileInTheWay(sql, "a/b")).toBeNull();
  });

  test("[FILE12] removed files, and files about to be, are in nobody's way", () => {
    put("a/b", 1);
    put("a/c", 2);
    expect(fileInTheWay(sql, "a", new Set(["a/b"]))).toBe("a/c");
    expect(fileInTheWay(sql, "a", new Set(["a/b", "a/c"]))).toBeNull();
    expect(fileInTheWay(sql, "a/b/c", new Set(["a/b"]))).toBeNull();
    remove("a/b", 3);
    expect(fileInTheWay(sql, "a/b/c")).toBeNull();
  });
});
