import { chmodSync, mkdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Directory } from "../../src/local/directory.ts";
import { DirectoryFiles } from "../../src/local/directory-files.ts";
import type { DiskStep } from "../../src/local/disk.ts";
import { FILE_MAX_BYTES } from "../../src/protocol/limits.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";
import { bytesOf, textOf } from "../support/workspace-driver.ts";

let place: DirectoryPlace;
let files: DirectoryFiles;
let steps: DiskStep[];
beforeEach(() => {
  place = new DirectoryPlace();
  steps = [];
  files = new DirectoryFiles(place.directory({ before: (step) => steps.push(step) }));
});
afterEach(() => {
  expect(place.leftovers()).toEqual([]);
  place[Symbol.dispose]();
});

const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });
const list = (options: { prefix?: string; limit?: number; cursor?: string | null } = {}) =>
  files.list({ prefix: "", limit: 50, cursor: null, ...options });
const pathsOf = (page: { files: { path: string }[] }) => page.files.map(({ path }) => path);

describe("a client's file", () => {
  test("[FILE3] [FILE11] is new or changed, and comes back as it was", async () => {
    const written = await files.write("f/a.md", bytesOf("one"));
    expect(written).toEqual({
      info: {
        path: "f/a.md",
        size: 3,
        content_type: "text/markdown; charset=utf-8",
        sha256: "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        modified_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
      created: true,
    });
    expect(await files.info("f/a.md")).toEqual(written.info);
    expect(await files.write("f/a.md", bytesOf("two"))).toMatchObject({ created: false, info: { size: 3 } });
    const bytes = new Uint8Array([0, 255, 128, 10, 13]);
    await files.write("raw", bytes);
    expect(await files.read("raw")).toEqual(bytes);
    expect(textOf(await files.read("f/a.md"))).toBe("two");
  });

  test("[GUARD3] [GUARD6] has the path that the guard makes of it, or none", async () => {
    await files.write(`${place.files}/x/../a//b`, bytesOf("one"));
    expect(pathsOf(await list())).toEqual(["a/b"]);
    for (const path of ["../a", "~/a", "a\\b", "/workspace/a", `${place.files}/../x`, "a/", ""]) {
      await expect(files.write(path, bytesOf("x"))).rejects.toEqual(code("path_refused"));
      await expect(files.read(path)).rejects.toEqual(code("path_refused"));
      await expect(files.info(path)).rejects.toEqual(code("path_refused"));
    }
    expect(place.tree()).toEqual({ "a/b": "one" });
  });

  test("[DIR2] [DIR8] [DIR14] is refused where a link leads outside, and where no file may stand", async () => {
    place.put({ "outside/a": "secret", "files/.turnpike-tmp-1": "x", "files/f": "1" });
    place.link("files/link", "../outside");
    for (const path of ["link/a", "link", ".turnpike-tmp-1"]) {
      await expect(files.read(path)).rejects.toEqual(code("path_refused"));
      await expect(files.write(path, bytesOf("x"))).rejects.toEqual(code("path_refused"));
    }
    await expect(files.write("f/a", bytesOf("x"))).rejects.toEqual(code("path_refused"));
    await expect(files.write(`g/${"x".repeat(300)}`, bytesOf("x"))).rejects.toEqual(code("path_refused"));
    mkdirSync(join(place.files, "folder/sub"), { recursive: true });
    await expect(files.write("folder", bytesOf("x"))).rejects.toEqual(code("path_refused"));
    expect(pathsOf(await list())).toEqual(["f"]);
    rmSync(join(place.files, ".turnpike-tmp-1"));
  });

  test("[FILE3] that is not there is not found", async () => {
    mkdirSync(join(place.files, "folder"));
    for (const path of ["a", "folder", "folder/a", "a/b"]) {
      await expect(files.read(path)).rejects.toEqual(code("not_found"));
      await expect(files.info(path)).rejects.toEqual(code("not_found"));
    }
  });

  test("[FILE4] [DIR13] of more than 32 MiB is too large, and is listed where somebody else put it", async () => {
    const large = new Uint8Array(FILE_MAX_BYTES + 1);
    await expect(files.write("a", large)).rejects.toEqual(code("too_large"));
    expect(place.tree()).toEqual({});
    place.put({ "files/a": large });
    await expect(files.read("a")).rejects.toEqual(code("too_large"));
    expect((await list()).files).toMatchObject([{ path: "a", size: FILE_MAX_BYTES + 1 }]);
  });

  test("[DIR10] that the disk does not take leaves the one that was there", async () => {
    place.put({ "files/a": "one" });
    const before = (step: DiskStep) => {
      if (step === "fsync") throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
    };
    const full = new DirectoryFiles(place.directory({ before }));
    const failure = full.write("a", bytesOf("two"));
    await expect(failure).rejects.toEqual(code("unavailable"));
    await expect(full.write("new/b", bytesOf("two"))).rejects.toThrow('no space left on the disk for "new/b"');
    expect(place.tree()).toEqual({ a: "one" });
  });

  test("[DIR7] [DIR10] leaves no folder that was made for it, whichever step fails", async () => {
    let failures = 0;
    for (let failing = 0; failing <= failures; failing++) {
      let left = failing;
      const before = () => {
        if (left-- === 0) throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
      };
      const full = new DirectoryFiles(place.directory({ before }));
      await full.write("a/b/b/c", bytesOf("x")).catch(() => failures++);
      // What fails once the file stands does not take it away again.
      expect([{}, { "a/b/b/c": "x" }]).toContainEqual(place.tree());
      rmSync(join(place.files, "a"), { recursive: true, force: true });
    }
    expect(failures).toBeGreaterThan(20);
  });
});

describe("lists", () => {
  const counted = (step: DiskStep) => steps.filter((one) => one === step).length;

  test("[FILE1] [DIR13] show each file with its sha256, by path, and read only those of the page", async () => {
    place.put({ "files/b": "1", "files/a/z": "2", "files/a-b": "3", "files/a/y/x": "4", "files/c": "5" });
    utimesSync(join(place.files, "a-b"), 0, 1_700_000_000.5);
    const page = await list({ limit: 3 });
    expect(pathsOf(page)).toEqual(["a-b", "a/y/x", "a/z"]);
    expect(page.files[0]).toEqual({
      path: "a-b",
      size: 1,
      content_type: "application/octet-stream",
      sha256: "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
      modified_at: "2023-11-14T22:13:20.500Z",
    });
    expect(counted("openFile")).toBe(3);
    const rest = await list({ cursor: page.next_cursor });
    expect(pathsOf(rest)).toEqual(["b", "c"]);
    expect(rest.next_cursor).toBeNull();
  });

  test("[DIR13] do not look into folders in which nothing can match", async () => {
    place.put({ "files/a/1": "", "files/b/1": "", "files/b/c/1": "", "files/b/d/1": "", "files/e/1": "" });
    expect(pathsOf(await list({ prefix: "b/c" }))).toEqual(["b/c/1"]);
    expect(counted("readdir")).toBe(3);
    steps.length = 0;
    const page = await list({ limit: 3 });
    expect(pathsOf(page)).toEqual(["a/1", "b/1", "b/c/1"]);
    steps.length = 0;
    expect(pathsOf(await list({ cursor: page.next_cursor }))).toEqual(["b/d/1", "e/1"]);
    // The root, b, b/c where the page ended, b/d, and e.
    expect(counted("readdir")).toBe(5);
  });

  test("[FILE1] [REST6] give every file once, in the order of UTF-8, in pages of any size", async () => {
    const one = fc.string({
      unit: fc.constantFrom("a", "b", "/", "é", "\ufb01", "\u{1f642}", "-"),
      minLength: 1,
      maxLength: 5,
    });
    const path = one.filter((text) => !/^\/|\/\/|\/$/.test(text));
    const run = async (paths: string[], limit: number, prefix: string) => {
      using other = new DirectoryPlace();
      const isFree = (text: string) => !paths.some((longer) => longer.startsWith(`${text}/`));
      const expected = paths.filter(isFree);
      other.put(Object.fromEntries(expected.map((text) => [`files/${text}`, ""])));
      const found: string[] = [];
      const those = new DirectoryFiles(other.directory());
      for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages++) {
        const page: Awaited<ReturnType<typeof list>> = await those.list({ prefix, limit, cursor });
        expect(page.files.length).toBeLessThanOrEqual(limit);
        found.push(...pathsOf(page));
        cursor = page.next_cursor;
      }
      const sorted = expected
        .map((text) => Buffer.from(text))
        .sort(Buffer.compare)
        .map(String);
      expect(found).toEqual(sorted.filter((text) => text.startsWith(prefix)));
    };
    const args = [
      fc.uniqueArray(path, { maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.oneof(fc.constant(""), one),
    ] as const;
    await fc.assert(fc.asyncProperty(...args, run), { numRuns: 60 });
  });

  test("[DIR13] pass over what may not be read", async () => {
    place.put({ "files/a": "1", "files/b": "2" });
    const { ino } = statSync(join(place.files, "a"));
    const before = (step: DiskStep, path: string) => {
      if (step === "openFile" && statSync(path).ino === ino) throw Object.assign(new Error("no"), { code: "EACCES" });
    };
    const page = await new DirectoryFiles(place.directory({ before })).list({ prefix: "", limit: 9, cursor: null });
    expect(pathsOf(page)).toEqual(["b"]);
  });

  test("[CURSOR6] refuse what is no cursor of theirs", async () => {
    await expect(list({ cursor: "x" })).rejects.toEqual(code("bad_cursor"));
  });
});

test("[SESSION8] a session that starts with the files of another has its own from then on", async () => {
  place.put({ "source/a": "1", "source/f/b.sh": "2", "source/.git/x": "3", "outside/y": "secret" });
  chmodSync(join(place.base, "source/f/b.sh"), 0o755);
  place.link("source/link", "f/b.sh");
  place.link("source/out", "../outside/y");
  await files.copyFrom(Directory.open(join(place.base, "source")));
  expect(place.tree()).toEqual({ ".git/x": "3", a: "1", "f/b.sh": "2", link: "2" });
  expect(statSync(join(place.files, "f/b.sh")).mode & 0o777).toBe(0o755);
  place.put({ "source/a": "changed" });
  expect(textOf(await files.read("a"))).toBe("1");
});
