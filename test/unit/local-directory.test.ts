import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ToolError } from "../../src/engine/ports.ts";
import { Directory } from "../../src/local/directory.ts";
import { DirectoryPlace, snapshot, withPlace } from "../support/workspace-directory.ts";
import { bytesOf, createDriver } from "../support/workspace-driver.ts";

const modeOf = (path: string) => statSync(path).mode & 0o7777;
const systemError = (code: string) =>
  Object.assign(new Error(`${code}: no such luck, open '/home/me/secret'`), { code });

describe("names", () => {
  test("[DIR5] in another normal form are found, listed in NFC, and kept as they are", () =>
    withPlace(async (place, { change, read, paths }) => {
      const [nfc, nfd] = ["\u00e9", "e\u0301"];
      place.put({ [`files/${nfd}/${nfd}.txt`]: "one" });
      expect(await paths()).toEqual([`${nfc}/${nfc}.txt`]);
      expect(await read(`${nfc}/${nfc}.txt`)).toBe("one");
      await change({ [`${nfc}/${nfc}.txt`]: "two", [`${nfc}/x`]: "new" });
      expect(place.tree()).toEqual({ [`${nfd}/${nfd}.txt`]: "two", [`${nfd}/x`]: "new" });
      // Where the disk has both, the path names the one that is spelt like it.
      place.put({ [`files/${nfd}/${nfc}.txt`]: "three" });
      expect(await paths()).toEqual([`${nfc}/x`, `${nfc}/${nfc}.txt`]);
      expect(await read(`${nfc}/${nfc}.txt`)).toBe("three");
    }));

  test("[DIR4] that no path can have are left out", () =>
    withPlace(async (place, { paths }) => {
      place.put({
        "files/a\\b": "",
        "files/~x": "",
        "files/f/~y": "",
        "files/new\nline": "",
        "files/bell\u0007/x": "",
      });
      const long = "x".repeat(200);
      place.put({ [`files/${long}/${long}/${long}`]: "" });
      execFileSync("sh", ["-c", "touch \"$(printf 'bad\\377name')\" && mkdir \"$(printf 'bad\\377folder')\""], {
        cwd: place.files,
      });
      expect(await paths()).toEqual(["f/~y"]);
      const folders = (await place.workspace().entries("")).map(({ path }) => path);
      expect(folders).toEqual(["f/", `${long}/`]);
      execFileSync("sh", ["-c", "rm -r bad*"], { cwd: place.files });
    }));

  test("[DIR14] of temporary files are never listed, and refused", () =>
    withPlace(async (place, { change, paths }) => {
      place.put({ "files/.turnpike-tmp-1": "x" });
      expect(await paths()).toEqual([]);
      await expect(change({ ".turnpike-tmp-1": "y" })).rejects.toThrow(ToolError);
      await expect(change({ ".turnpike-tmp-2/a": "y" })).rejects.toThrow(ToolError);
      await expect(place.workspace().stat(".turnpike-tmp-1")).rejects.toThrow(ToolError);
      rmSync(join(place.files, ".turnpike-tmp-1"));
    }));

  test("[DIR10] that a file system does not take are refused before anything is decided", () =>
    withPlace(async (place, { change, read }) => {
      const long = "x".repeat(300);
      await expect(change({ [`f/${long}`]: "y" })).rejects.toThrow(ToolError);
      expect(await read(long)).toBeNull();
      expect(place.tree()).toEqual({});
    }));
});

const HIDDEN: [what: string, lie: (place: DirectoryPlace) => void][] = [
  [
    "no path can name",
    ({ files }) => execFileSync("sh", ["-c", "touch \"$(printf 'x\\377')\""], { cwd: join(files, "f") }),
  ],
  ["is a temporary file", (place) => place.put({ "files/f/.turnpike-tmp-1": "" })],
  ["is a link to nothing", (place) => place.link("files/f/x", "nowhere")],
];

test.for(HIDDEN)(
  "[DIR17] what %s lies in a folder, of which a file is to take the place, and is said to be in the way",
  async ([, lie]) => {
    using place = new DirectoryPlace();
    place.put({ "files/f/g": "1" });
    lie(place);
    const { change } = createDriver(place.host());
    const refused = { name: "ToolError", message: expect.stringContaining('"f" cannot be written') };
    await expect(change({ f: "2", "f/g": null })).rejects.toMatchObject(refused);
    expect(readFileSync(join(place.files, "f/g"), "utf8")).toBe("1");
  },
);

describe("what is no file", () => {
  test("[DIR8] [DIR4] is not waited for, listed or replaced", () =>
    withPlace(async (place, { change, read, paths }) => {
      execFileSync("sh", ["-c", "mkfifo pipe"], { cwd: place.files });
      const server = createServer().listen(join(place.files, "socket"));
      place.link("files/link", "pipe");
      for (const path of ["pipe", "socket", "link"]) {
        expect(await read(path)).toBeNull();
        await expect(change({ [path]: "x" })).rejects.toThrow(ToolError);
        await expect(change({ [`${path}/x`]: "x" })).rejects.toThrow(ToolError);
      }
      expect(await paths()).toEqual([]);
      expect(lstatSync(join(place.files, "pipe")).isFIFO()).toBe(true);
      server.close();
    }));

  test("[DIR8] [TOOL6] that takes a file's place is a conflict", () =>
    withPlace(async (place, { stage }) => {
      const { workspace, sql } = place.host();
      const draft = workspace.openDraft();
      draft.write("a", bytesOf("x"));
      const staged = await stage(draft);
      execFileSync("sh", ["-c", "mkfifo a"], { cwd: place.files });
      expect(sql.transaction(() => staged.commit(sql, 1))).toEqual({ conflict: "a" });
      await staged.discard();
    }));
});

describe("a change", () => {
  test("[DIR6] leaves everything else as it was, and a file its permissions", () =>
    withPlace(async (place, { change }) => {
      place.put({ "files/a.sh": "one", "files/b.txt": "two", "files/f/c.txt": "three" });
      chmodSync(join(place.files, "a.sh"), 0o750);
      chmodSync(join(place.files, "b.txt"), 0o400);
      for (const name of ["b.txt", "f/c.txt"]) utimesSync(join(place.files, name), 1_000, 1_000.123);
      place.link("files/link", "b.txt");
      const untouched = () => snapshot(place.files).filter((line) => !line.startsWith("a.sh "));
      const before = untouched();
      await change({ "a.sh": "one and more" });
      expect(untouched()).toEqual(before);
      expect(readFileSync(join(place.files, "a.sh"), "utf8")).toBe("one and more");
      expect(modeOf(join(place.files, "a.sh"))).toBe(0o750);
      await change({ "b.txt": "2" });
      expect(modeOf(join(place.files, "b.txt"))).toBe(0o400);
    }));

  test("[DIR6] never opens a file to others, not even while it is written", () =>
    withPlace(async (place) => {
      place.put({ "files/private": "one", "files/public": "one" });
      chmodSync(join(place.files, "private"), 0o600);
      chmodSync(join(place.files, "public"), 0o777);
      let final = 0o600;
      const steps: string[] = [];
      const before = (step: string) => {
        const temporary = readdirSync(place.files).find((name) => name.startsWith(".turnpike-tmp-"));
        if (temporary === undefined) return;
        steps.push(step);
        expect(modeOf(join(place.files, temporary)) & ~final).toBe(0);
      };
      const { change } = createDriver(place.host({ before }));
      await change({ private: "two" });
      final = 0o777;
      await change({ public: "two" });
      expect(steps).toContain("write");
      expect(["private", "public"].map((name) => modeOf(join(place.files, name)))).toEqual([0o600, 0o777]);
    }));

  test("[DIR6] never makes a file that runs as another user", () =>
    withPlace(async (place, { change }) => {
      place.put({ "files/a": "one" });
      chmodSync(join(place.files, "a"), 0o4755);
      await change({ a: "two" });
      expect(modeOf(join(place.files, "a"))).toBe(0o755);
    }));

  test("[DIR6] with the bytes that are there leaves the file alone", () =>
    withPlace(async (place, { change }) => {
      place.put({ "files/a": "one" });
      const before = snapshot(place.files);
      expect(await change({ a: "one" })).toMatchObject([{ path: "a", info: { size: 3 } }]);
      expect(snapshot(place.files)).toEqual(before);
    }));

  test("[DIR7] makes the folders that are missing, and takes those that become empty", () =>
    withPlace(async (place, { change }) => {
      mkdirSync(join(place.files, "empty"));
      await change({ "a/b/c/d": "1", "a/x": "2" });
      await change({ "a/b/c/d": null });
      expect(place.tree()).toEqual({ "a/x": "2", "empty/": "" });
      await change({ "a/x": null });
      expect(place.tree()).toEqual({ "empty/": "" });
      rmSync(join(place.files, "empty"), { recursive: true });
      await change({ y: "1" });
      await change({ y: null });
      expect(place.tree()).toEqual({});
    }));

  test("[DIR7] has the disk keep the folders that it makes, together with what it puts in them", () =>
    withPlace(async (place) => {
      let synced = 0;
      const before = (step: string) => {
        if (step === "fsyncFolder") synced++;
      };
      const { change } = createDriver(place.host({ before }));
      for (const [path, folders] of [
        ["x", 1],
        ["a/b/c", 3],
        ["a/b/d", 1],
        ["a/e/f", 2],
      ] as const) {
        synced = 0;
        await change({ [path]: "1" });
        // One more is that of the staged bytes.
        expect(synced - 1).toBe(folders);
      }
    }));

  test("[DIR7] keeps a folder in which it leaves something", () =>
    withPlace(async (place, { change }) => {
      place.put({ "files/f/a": "1" });
      chmodSync(join(place.files, "f"), 0o700);
      await change({ "f/a": null, "f/b": "2" });
      expect(modeOf(join(place.files, "f"))).toBe(0o700);
    }));

  test("[DIR7] [FILE12] puts a file in the place of an empty folder, and of no other", () =>
    withPlace(async (place, { change, commit }) => {
      mkdirSync(join(place.files, "a"));
      mkdirSync(join(place.files, "b/c"), { recursive: true });
      await change({ a: "1" });
      const draft = place.workspace().openDraft();
      draft.write("b", bytesOf("1"));
      expect(await commit(draft)).toEqual({ conflict: "b/c" });
      expect(place.tree()).toEqual({ a: "1", "b/c/": "" });
    }));

  test("[FILE12] [DIR17] counts what no list shows as something that lies in a folder", () =>
    withPlace(async (place, { stage }) => {
      place.put({ "files/a/b\\c": "theirs", "files/a/d": "x" });
      const draft = place.workspace().openDraft();
      draft.remove("a/d");
      draft.write("a", bytesOf("1"));
      await expect(stage(draft)).rejects.toThrow(ToolError);
      expect(place.tree()).toEqual({ "a/b\\c": "theirs", "a/d": "x" });
    }));

  test.for(["ENOSPC", "EROFS", "EACCES", "EIO"])(
    "[DIR10] that the system refuses with %s is an error that says so",
    (code) =>
      withPlace(async (place, { change }) => {
        place.put({ "files/a": "one" });
        for (const refused of ["create", "write", "fsync", "rename"] as const) {
          const failing = {
            before: (step: string) => {
              if (step === refused) throw systemError(code);
            },
          };
          // The bytes are staged where there is room, and then applied where there is none.
          const { workspace, sql } = place.host();
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("two"));
          draft.write("f/b", bytesOf("new"));
          const committed = await draft.stage("stage_1").then((staged) => staged.commit(sql, 1));
          if (!("redo" in committed)) throw new Error("nothing to be done");
          const failure = await place
            .workspace(failing)
            .finish(committed.redo)
            .catch((thrown: unknown) => thrown);
          expect(failure).toBeInstanceOf(ToolError);
          expect(String(failure)).toContain('"a"');
          expect(String(failure)).not.toContain("secret");
          expect(place.tree()).toEqual({ a: "one" });
          expect(place.leftovers()).toEqual([]);
          if (refused === "rename") continue;
          await expect(createDriver(place.host(failing)).change({ a: "two" })).rejects.toThrow(ToolError);
          expect(place.leftovers()).toEqual([]);
        }
        await change({ a: "three" });
      }),
  );
});

test("[DIR10] a file system that cannot sync folders takes changes all the same", () =>
  withPlace(async (place) => {
    const before = (step: string) => {
      if (step === "fsyncFolder") throw systemError("EINVAL");
    };
    await createDriver(place.host({ before })).change({ "f/a": "1" });
    expect(place.tree()).toEqual({ "f/a": "1" });
  }));

describe("a directory", { timeout: 30_000 }, () => {
  test("[DIR12] is there when it is opened, and stays the same", () =>
    withPlace(async (place) => {
      const refused = expect.objectContaining({ name: "GatewayError", code: "path_refused" });
      place.put({ file: "x" });
      for (const name of ["file", "file/x", "nothing"]) {
        expect(() => Directory.open(join(place.base, name))).toThrow(refused);
      }
      place.link("link", "files");
      expect(Directory.open(join(place.base, "link")).root).toBe(Directory.open(place.files).root);

      place.put({ "files/a": "1", "other/a": "2" });
      for (const byHandle of [true, false]) {
        const workspace = place.workspace({ byHandle });
        expect(await workspace.stat("a")).not.toBeNull();
        renameSync(place.files, join(place.base, "aside"));
        await expect(workspace.stat("a")).rejects.toThrow(ToolError);
        renameSync(join(place.base, "other"), place.files);
        await expect(workspace.stat("a")).rejects.toThrow(ToolError);
        renameSync(place.files, join(place.base, "other"));
        place.link("files", "other");
        await expect(workspace.entries("")).rejects.toThrow(ToolError);
        rmSync(place.files);
        renameSync(join(place.base, "aside"), place.files);
      }
    }));

  test("[DIR4] is listed without a file in it being opened, however large it is", () =>
    withPlace(async (place) => {
      const files = Object.fromEntries(
        Array.from({ length: 5_000 }, (_, i) => [`files/f${i % 50}/g${i % 7}/${i}`, ""]),
      );
      place.put(files);
      const steps = new Map<string, number>();
      const before = (step: string) => steps.set(step, (steps.get(step) ?? 0) + 1);
      const driver = createDriver(place.host({ before }));
      expect(await driver.paths()).toHaveLength(5_000);
      expect(steps.get("readdir")).toBe(1 + 50 + 350);
      expect([...steps.keys()].sort()).toEqual(["lstat", "openFolder", "readdir"]);
    }));

  test("[DIR4] is listed but for folders that may not be read", () =>
    withPlace(async (place) => {
      place.put({ "files/open/a": "1", "files/closed/b": "2" });
      const { ino } = statSync(join(place.files, "closed"));
      const before = (step: string, path: string) => {
        if (step === "readdir" && statSync(path).ino === ino) throw systemError("EACCES");
      };
      expect(await createDriver(place.host({ before })).paths()).toEqual(["open/a"]);
    }));

  test("[DIR4] is listed and searched while others remove what is in it", () =>
    withPlace(async (place) => {
      place.put({ "files/a": "1", "files/b/c": "2", "files/d/e": "3" });
      const goes = (path: string, at: string, step: number) => {
        let steps = 0;
        return (one: string) => {
          if (one === at && ++steps === step) rmSync(join(place.files, path), { recursive: true });
        };
      };
      // The root is the first folder, and b the second.
      expect(await createDriver(place.host({ before: goes("b", "openFolder", 3) })).paths()).toEqual(["a", "d/e"]);
      expect(await createDriver(place.host({ before: goes("a", "openFile", 1) })).read("a")).toBeNull();
    }));

  test("[TOOL10] [TOOL6] holds files that are too large to be read, which are told apart all the same", () =>
    withPlace(async (place, { commit }) => {
      place.put({ "files/large": new Uint8Array(8 * 1024 * 1024 + 1) });
      const draft = place.workspace().openDraft();
      expect(await draft.stat("large")).toMatchObject({ size: 8 * 1024 * 1024 + 1 });
      await expect(draft.read("large")).rejects.toThrow(ToolError);
      draft.write("a", bytesOf("1"));
      expect(await commit(draft)).toHaveProperty("committed");

      const second = place.workspace().openDraft();
      second.write("large", bytesOf("small"));
      utimesSync(join(place.files, "large"), 1, 1);
      expect(await commit(second)).toEqual({ conflict: "large" });
      const third = place.workspace().openDraft();
      third.write("large", bytesOf("small"));
      expect(await commit(third)).toHaveProperty("committed");
      expect(place.tree()).toEqual({ a: "1", large: "small" });
    }));
});

test("[DIR11] staged bytes that nothing needs any more are swept, and no others", async () => {
  using place = new DirectoryPlace();
  await place.sweep();
  place.put({ "state/stages/stage_1.1": "a", "state/stages/stage_1.2": "b", "state/stages/stage_2.1": "c" });
  await place.sweep(["stage_1.2", "stage_3.1"]);
  expect(place.leftovers()).toEqual(["stage_1.2"]);
});
