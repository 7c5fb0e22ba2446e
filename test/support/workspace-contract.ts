/** What every `Workspace` has to do, whatever holds its files. Each implementation runs these same tests. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type OpenDraft, ToolError } from "../../src/engine/ports.ts";
import { TOOL_FILE_MAX_BYTES } from "../../src/protocol/limits.ts";
import { bytesOf, createDriver, textOf, type WorkspaceHost } from "./workspace-driver.ts";

async function sha256Of(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function testWorkspace(name: string, withHost: (run: (host: WorkspaceHost) => Promise<void>) => Promise<void>) {
  const withDriver = (run: (driver: ReturnType<typeof createDriver>, host: WorkspaceHost) => Promise<void>) =>
    withHost(async (host) => {
      await run(createDriver(host), host);
      expect(await host.leftovers()).toEqual([]);
    });

  describe(name, () => {
    describe("drafts", () => {
      test("[TOOL5] nothing is seen of a draft until it is committed", () =>
        withDriver(async ({ stage, apply, read, paths }, { workspace }) => {
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("1"));
          const staged = await stage(draft);
          expect(await read("a")).toBeNull();
          expect(await paths()).toEqual([]);
          await apply(staged);
          expect(await read("a")).toBe("1");
          expect(await paths()).toEqual(["a"]);
        }));

      test("[TOOL5] a draft shows its own changes over what is committed", () =>
        withDriver(async ({ change }, { workspace }) => {
          await change({ "f/kept": "kept", "f/changed": "before", "f/removed": "gone" });
          const draft = workspace.openDraft();
          draft.write("f/changed", bytesOf("after"));
          draft.write("f/added", bytesOf("new"));
          draft.write("added", bytesOf("new"));
          draft.remove("f/removed");
          expect(await draft.entries("f")).toEqual([
            { kind: "file", path: "f/added", size: 3 },
            { kind: "file", path: "f/changed", size: 5 },
            { kind: "file", path: "f/kept", size: 4 },
          ]);
          expect(await draft.entries("")).toEqual([
            { kind: "file", path: "added", size: 3 },
            { kind: "folder", path: "f/" },
          ]);
          expect(await draft.stat("f/changed")).toEqual({ path: "f/changed", size: 5 });
          expect(textOf(await draft.read("f/changed"))).toBe("after");
          expect(await draft.stat("f/removed")).toBeNull();
          expect(await draft.read("f/removed")).toBeNull();
          expect(textOf(await draft.read("f/kept"))).toBe("kept");
        }));

      test("[TOOL5] a folder is there for as long as a draft leaves something in it", () =>
        withDriver(async ({ change }, { workspace }) => {
          await change({ "f/a/1": "1", "f/b/2": "2", "f/b/3": "3", g: "4" });
          const draft = workspace.openDraft();
          draft.remove("f/a/1");
          draft.remove("f/b/2");
          draft.write("h/i/5", bytesOf("5"));
          expect((await draft.entries("")).map(({ path }) => path)).toEqual(["f/", "g", "h/"]);
          expect((await draft.entries("f")).map(({ path }) => path)).toEqual(["f/b/"]);
          draft.remove("f/b/3");
          expect((await draft.entries("")).map(({ path }) => path)).toEqual(["g", "h/"]);
          expect(await draft.entries("h")).toEqual([{ kind: "folder", path: "h/i/" }]);
          expect(await draft.entries("nowhere")).toEqual([]);
        }));

      test("[TOOL5] a draft is changed by every write and removal, and by no reading", () =>
        withDriver(async ({ change }, { workspace }) => {
          await change({ a: "1" });
          const draft = workspace.openDraft();
          await draft.entries("");
          await draft.stat("a");
          await draft.read("a");
          expect(draft.changed).toBe(false);
          draft.write("a", bytesOf("1"));
          expect(draft.changed).toBe(true);
          const removing = workspace.openDraft();
          removing.remove("a");
          expect(removing.changed).toBe(true);
        }));

      test("[FILE9] a draft that is dropped leaves nothing", () =>
        withDriver(async ({ stage, paths }, { workspace }) => {
          const draft = workspace.openDraft();
          for (let i = 0; i < 20; i++) draft.write(`f${i}`, bytesOf(`${i}`));
          const staged = await stage(draft);
          await staged.discard();
          await staged.discard();
          expect(await paths()).toEqual([]);
        }));

      test("[TOOL5] a commit that is rolled back can come again", () =>
        withDriver(async ({ stage, apply, read }, { workspace, sql }) => {
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("1"));
          const staged = await stage(draft);
          const rolledBack = () =>
            sql.transaction(() => {
              staged.commit(sql, 1);
              throw new Error("rolled back");
            });
          expect(rolledBack).toThrow("rolled back");
          expect(await read("a")).toBeNull();
          expect(await apply(staged)).toHaveProperty("committed");
          expect(await read("a")).toBe("1");
        }));
    });

    describe("commits", () => {
      test("[TOOL5] a commit says what became of each file", () =>
        withDriver(async ({ change, read }, { workspace }) => {
          await change({ "b.md": "before", c: "gone" });
          const committed = await change({ "a.md": "hello", "b.md": "after", c: null });
          const [a, b, c] = committed;
          expect(committed).toHaveLength(3);
          expect(a).toEqual({
            path: "a.md",
            info: {
              path: "a.md",
              size: 5,
              content_type: "text/markdown; charset=utf-8",
              sha256: await sha256Of("hello"),
              modified_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
            },
          });
          expect(await workspace.openDraft().stat("a.md")).toMatchObject({ path: "a.md", size: 5 });
          expect(b).toMatchObject({ path: "b.md", info: { size: 5 } });
          expect(c).toEqual({ path: "c", info: null });
          expect([await read("a.md"), await read("b.md"), await read("c")]).toEqual(["hello", "after", null]);
        }));

      test("[TOOL5] a file that came and went within a call leaves no trace", () =>
        withDriver(async ({ commit, paths }, { workspace }) => {
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("1"));
          draft.remove("a");
          draft.remove("b");
          expect(await commit(draft)).toEqual({ committed: [] });
          expect(await paths()).toEqual([]);
        }));

      test("[TOOL5] many files become visible together", () =>
        withDriver(async ({ change, paths, read }) => {
          const names = Array.from({ length: 20 }, (_, i) => `f/${String.fromCharCode(97 + i)}`);
          await change(Object.fromEntries(names.map((path) => [path, path])));
          expect(await paths("f")).toEqual(names);
          for (const path of names) expect(await read(path)).toBe(path);
        }));

      test("[FILE11] any bytes come back as they were", () =>
        withDriver(async ({ commit }, { workspace }) => {
          const run = async (bytes: Uint8Array) => {
            const draft = workspace.openDraft();
            draft.write("bytes", bytes);
            await commit(draft);
            expect(await workspace.openDraft().read("bytes")).toEqual(bytes);
          };
          await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), run), {
            numRuns: 20,
            examples: [[new Uint8Array()]],
          });
        }));

      test("[FILE11] names are names, whatever they hold", () =>
        withDriver(async ({ change, paths, read }) => {
          const names = ["%2e%2e", "a b", "a%", "a'b", 'a"b', "a_", "a*", "🙂/é", "-rf", "...", "a?b#c", "$(x)"];
          await change(Object.fromEntries(names.map((path) => [path, path])));
          expect((await paths()).sort()).toEqual([...names].sort());
          for (const path of names) expect(await read(path)).toBe(path);
        }));

      test("[TOOL9] a folder holds what lies under its name, and nothing that only begins like it", () =>
        withDriver(async ({ change, paths }) => {
          await change({ "a/x": "", "a/b/y": "", "ab/x": "", "a-b": "", a0: "" });
          expect(await paths("a")).toEqual(["a/b/y", "a/x"]);
          expect(await paths("a/b")).toEqual(["a/b/y"]);
          expect(await paths("b")).toEqual([]);
          expect(await paths("a/x")).toEqual([]);
        }));
    });

    describe("conflicts", () => {
      const before = { a: "1", b: "1" };
      test.for<[string, (draft: OpenDraft) => Promise<unknown>, Record<string, string | null>, string]>([
        ["a file that was read", (draft) => draft.read("a"), { a: "2" }, "a"],
        ["a file that was statted", (draft) => draft.stat("a"), { a: "2" }, "a"],
        ["a file that was read and is removed", (draft) => draft.read("a"), { a: null }, "a"],
        ["a file that was not there", (draft) => draft.stat("c"), { c: "2" }, "c"],
        ["a file that is written without a look", async (draft) => draft.write("a", bytesOf("3")), { a: "2" }, "a"],
        ["a new file", async (draft) => draft.write("c", bytesOf("3")), { c: "2" }, "c"],
        ["a file that is removed without a look", async (draft) => draft.remove("a"), { a: "2" }, "a"],
      ])("[TOOL6] %s and changed meanwhile", ([, look, meanwhile, conflict]) =>
        withDriver(async ({ commit, change, read }, { workspace }) => {
          await change(before);
          const draft = workspace.openDraft();
          await look(draft);
          draft.write("b", bytesOf("3"));
          await change(meanwhile);
          expect(await commit(draft)).toEqual({ conflict });
          const expected = { ...before, ...meanwhile };
          for (const [path, text] of Object.entries(expected)) expect(await read(path)).toBe(text);
        }),
      );

      test("[TOOL6] a change after staging is found too", () =>
        withDriver(async ({ stage, change, read }, { workspace, sql }) => {
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("1"));
          const staged = await stage(draft);
          await change({ a: "2" });
          expect(sql.transaction(() => staged.commit(sql, 99))).toEqual({ conflict: "a" });
          await staged.discard();
          expect(await read("a")).toBe("2");
        }));

      test("[TOOL6] the first sight of a file counts, not the last", () =>
        withDriver(async ({ commit, change }, { workspace }) => {
          await change(before);
          const draft = workspace.openDraft();
          const first = await draft.stat("a");
          await change({ a: "22" });
          expect(await draft.stat("a")).toEqual(first);
          draft.write("b", bytesOf("3"));
          expect(await commit(draft)).toEqual({ conflict: "a" });
        }));

      test("[TOOL6] what others do to files that a call did not look at is no conflict", () =>
        withDriver(async ({ commit, change, read }, { workspace }) => {
          await change(before);
          const draft = workspace.openDraft();
          await draft.entries("");
          draft.write("b", bytesOf("3"));
          await change({ a: "2", c: "2" });
          expect(await commit(draft)).toHaveProperty("committed");
          expect([await read("a"), await read("b"), await read("c")]).toEqual(["2", "3", "2"]);
        }));

      test("[FILE12] a file cannot lie under a file", () =>
        withDriver(async ({ commit, change }, { workspace }) => {
          await change({ a: "1" });
          const draft = workspace.openDraft();
          draft.write("a/b", bytesOf("2"));
          expect(await commit(draft)).toEqual({ conflict: "a" });
        }));

      test("[FILE12] a file cannot stand where a folder is", () =>
        withDriver(async ({ commit, change, paths }, { workspace }) => {
          await change({ "a/b": "1" });
          const draft = workspace.openDraft();
          draft.write("a", bytesOf("2"));
          expect(await commit(draft)).toEqual({ conflict: "a/b" });
          expect(await paths()).toEqual(["a/b"]);
        }));

      test("[FILE12] a file may take the place of a folder that goes in the same call", () =>
        withDriver(async ({ change, paths }) => {
          await change({ "a/b": "1" });
          await change({ "a/b": null, a: "2" });
          expect(await paths()).toEqual(["a"]);
          await change({ "a/b": "3", a: null });
          expect(await paths()).toEqual(["a/b"]);
        }));
    });

    test("[TOOL10] a draft takes no file that is too large", () =>
      withDriver(async (_, { workspace }) => {
        const draft = workspace.openDraft();
        expect(() => draft.write("a", new Uint8Array(TOOL_FILE_MAX_BYTES + 1))).toThrow(ToolError);
        expect(draft.changed).toBe(false);
        draft.write("a", new Uint8Array(TOOL_FILE_MAX_BYTES));
        expect(await draft.stat("a")).toMatchObject({ size: TOOL_FILE_MAX_BYTES });
      }));
  });
}
