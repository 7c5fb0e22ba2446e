import { describe, expect, test } from "vitest";
import { IGNORE_FILE_MAX_BYTES, IGNORE_MAX_FILES, IGNORE_TOTAL_MAX_BYTES } from "../../src/protocol/limits.ts";
import { fitsRule, parseIgnoreFile } from "../../src/workspace/ignore-pattern.ts";
import { walkFiles } from "../../src/workspace/walk-files.ts";
import { memoryDraft } from "../support/memory-workspace.ts";

type Files = Record<string, string | Uint8Array>;

/** The files that are not ignored, without the `.gitignore` files; `folder` is where the walk begins. */
async function keptOf(files: Files, folder = ""): Promise<string[]> {
  const { draft } = await memoryDraft(files);
  const paths = await Array.fromAsync(walkFiles(draft, folder, { ignored: "skipped" }), ({ path }) => path);
  return paths.filter((path) => !path.endsWith(".gitignore"));
}

describe("a line of a .gitignore", () => {
  test.for<[string, string[], string[]]>([
    // What git's manual says of each form.
    ["hello.*", ["hello.txt", "a/hello.java"], ["hello", "a/xhello.c"]],
    ["/hello.*", ["hello.txt", "hello.c"], ["a/hello.java"]],
    ["foo/", ["foo/a", "a/foo/b"], ["foo.c", "b/foo"]],
    ["doc/frotz", ["doc/frotz"], ["a/doc/frotz"]],
    ["/doc/frotz", ["doc/frotz"], ["a/doc/frotz"]],
    ["doc/frotz/", ["doc/frotz/x"], ["a/doc/frotz/x", "b/doc/frotz"]],
    ["frotz/", ["frotz/x", "a/frotz/x"], ["a/b/frotz"]],
    ["foo/*", ["foo/test.json", "foo/bar/hello.c"], ["a/foo/x"]],
    ["**/foo", ["foo", "a/foo", "a/b/foo/x"], ["a/xfoo"]],
    ["**/foo/bar", ["foo/bar", "a/foo/bar"], ["foo/a/bar"]],
    ["abc/**", ["abc/x", "abc/x/y"], ["abcd", "a/abc/x"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "b/a/c"]],
    ["a**b", ["ab", "axb", "c/axxb"], ["a/b"]],
    ["*.py[cod]", ["a.pyc", "a/b.pyo"], ["a.py", "a.pyx"]],
    ["a[!a-z]", ["a1", "aA", "aé"], ["ab", "a"]],
    ["[[:digit:]]?", ["1a", "2é", "3🙂"], ["1", "a1"]],
    ["é[à-ÿ]", ["éé"], ["ée"]],
    // What escapes and what does not.
    ["\\#a", ["#a"], ["\\#a"]],
    ["\\!a", ["!a"], ["a"]],
    ["a\\*", ["a*"], ["ab"]],
    ["\\a", ["a"], ["b"]],
    ["a  ", ["a"], ["a  "]],
    ["a\\ ", ["a "], ["a"]],
    [" a", [" a"], ["a"]],
    ["a\t", ["a\t"], ["a"]],
    // No braces, and nothing but itself where a pattern is none.
    ["{a,b}", ["{a,b}"], ["a", "b"]],
    ["[a", [], ["[a", "a"]],
    ["a\\", [], ["a", "a\\"]],
    ["[[:vowel:]]", [], ["a", "[[:vowel:]]"]],
    ["# a", [], ["# a", "a"]],
    ["", [], ["a"]],
    ["/", [], ["a", "b/a"]],
    ["!", [], ["a", "!"]],
    ["a//b", [], ["a/b"]],
    ["A", [], ["a"]],
  ])("[TOOL21] %j", async ([line, ignored, kept]) => {
    const files = Object.fromEntries([...ignored, ...kept].map((path) => [path, ""]));
    expect(await keptOf({ ...files, ".gitignore": line })).toEqual(kept.sort());
  });

  test.for<[string, string]>([
    ["LF", "a\nb"],
    ["CR LF", "a\r\nb\r\n"],
    ["LF after a byte order mark", "\ufeffa\nb\n"],
  ])("[TOOL21] lines end in %s", async ([, text]) => {
    expect(await keptOf({ a: "", b: "", c: "", ".gitignore": text })).toEqual(["c"]);
  });

  test("[GUARD2] names are meant in whichever way their accents are spelt", async () => {
    expect(await keptOf({ é: "", e: "", ".gitignore": "e\u0301" })).toEqual(["e"]);
  });

  test.for([
    ["stars", "*a".repeat(200), "a".repeat(255)],
    ["folders", `${"**/a/".repeat(80)}**/b`, "a/".repeat(250)],
    ["stars in folders", "**/*a*/".repeat(60), "aa/".repeat(160)],
    ["sets", "*[b-z]".repeat(200), "a".repeat(255)],
    ["brackets that do not close", `[${"[:".repeat(30_000)}a]`, "a"],
    ["brackets in brackets", "[[:".repeat(20_000), "a"],
    ["spaces", `a${" ".repeat(60_000)}b`, "a"],
    ["backslashes", "\\".repeat(60_001), "\\"],
  ] as const)("[TOOL23] a line of many %s ends soon, however the path is made for it", ([, line, path]) => {
    const meter = { steps: 0 };
    const names = `${path}c`.split("/");
    for (const rule of parseIgnoreFile(line)) expect(fitsRule(rule, names, true, meter)).toBe(false);
    expect(meter.steps).toBeLessThan(line.length * path.length);
  });
});

describe("the .gitignore files of a workspace", () => {
  test("[TOOL21] a later line takes back what an earlier one ignored, and the other way round", async () => {
    const files = { "a.log": "", "b.log": "", "c/b.log": "" };
    expect(await keptOf({ ...files, ".gitignore": "*.log\n!b.log" })).toEqual(["b.log", "c/b.log"]);
    expect(await keptOf({ ...files, ".gitignore": "!b.log\n*.log" })).toEqual([]);
    expect(await keptOf({ ...files, ".gitignore": "*.log\n!b.log\n/b.log" })).toEqual(["c/b.log"]);
  });

  test("[TOOL21] each counts from its folder down, and the deeper one wins", async () => {
    const files = { "x/a": "", "x/y/a": "", a: "", "z/a": "", "z/b": "" };
    expect(await keptOf({ ...files, "x/.gitignore": "/a" })).toEqual(["a", "x/y/a", "z/a", "z/b"]);
    expect(await keptOf({ ...files, ".gitignore": "a", "x/.gitignore": "!a" })).toEqual(["x/a", "x/y/a", "z/b"]);
    expect(await keptOf({ ...files, ".gitignore": "!a\nz", "x/y/.gitignore": "*" })).toEqual(["a", "x/a"]);
  });

  test("[TOOL21] nothing comes back of a folder that is ignored", async () => {
    const files = { "build/a": "", "build/keep": "", "build/.gitignore": "!keep" };
    expect(await keptOf({ ...files, ".gitignore": "build/\n!build/keep" })).toEqual([]);
    expect(await keptOf({ ...files, ".gitignore": "build/*\n!build/keep" })).toEqual(["build/keep"]);
    const only = "/*\n!/foo\n/foo/*\n!/foo/bar";
    expect(await keptOf({ "a/b": "", "foo/a": "", "foo/bar/b": "", ".gitignore": only })).toEqual(["foo/bar/b"]);
  });

  test("[TOOL20] .git and node_modules are passed over at any depth, whatever a .gitignore says", async () => {
    const files = { ".git/HEAD": "", "a/.git": "", "a/node_modules/b/c": "", "node_modules/d": "", ".github/e": "" };
    expect(await keptOf({ ...files, ".gitignore": "!.git\n!node_modules" })).toEqual([".github/e"]);
  });

  test("[TOOL20] what lies around the folder of a call counts in it", async () => {
    const files = { "a/b/c.log": "", "a/b/d": "", "a/b/e": "", ".gitignore": "*.log", "a/.gitignore": "/b/d" };
    expect(await keptOf(files, "a/b")).toEqual(["a/b/e"]);
    expect(await keptOf(files, "a")).toEqual(["a/b/e"]);
  });

  test.for(["dist", "dist/sub", "a/node_modules", "a/node_modules/dep", ".git"])(
    "[TOOL20] nothing is passed over in %s, which is ignored itself",
    async (folder) => {
      const files = {
        ".gitignore": "dist/**\n/dist\n*.log",
        ".git/x.log": "",
        "a/node_modules/dep/x.log": "",
        "a/node_modules/dep/node_modules/y": "",
        "dist/sub/x.log": "",
        "dist/sub/node_modules/y": "",
      };
      const inside = Object.keys(files).filter((path) => path.startsWith(`${folder}/`));
      expect(await keptOf(files, folder)).toEqual(inside.sort());
    },
  );

  test("[TOOL22] no folder that is ignored is listed, and no .gitignore in it read", async () => {
    const { base, draft } = await memoryDraft({
      ".git/a/b": "",
      ".gitignore": "/dist\nout/",
      "dist/a/b": "",
      "dist/.gitignore": "x",
      "src/node_modules/a/b": "",
      "src/out/c": "",
      "src/d": "",
    });
    const listed: string[] = [];
    const entries = base.entries.bind(base);
    base.entries = (folder) => {
      listed.push(folder);
      return entries(folder);
    };
    const paths = await Array.fromAsync(walkFiles(draft, "", { ignored: "skipped" }), ({ path }) => path);
    expect(paths).toEqual([".gitignore", "src/d"]);
    expect(listed).toEqual(["", "src"]);
    expect(base.reads).toEqual([".gitignore"]);
  });

  test.for<[string, Uint8Array]>([
    ["is too large", new TextEncoder().encode(`a\n${"#".repeat(IGNORE_FILE_MAX_BYTES)}`)],
    ["holds a NUL", Uint8Array.of(0x61, 0x0a, 0x00)],
    ["is not UTF-8", Uint8Array.of(0x61, 0x0a, 0xe9)],
  ])("[TOOL21] one that %s is passed over, which is said", async ([, bytes]) => {
    const { draft } = await memoryDraft({ a: "", "b/a": "", "b/.gitignore": "a", ".gitignore": bytes });
    const walk = walkFiles(draft, "", { ignored: "skipped" });
    expect(await Array.fromAsync(walk, ({ path }) => path)).toEqual([".gitignore", "a", "b/.gitignore"]);
    expect(walk.notes).toEqual([".gitignore was passed over: too large, too many, or no text."]);
    expect(walk.isCut).toBe(false);
  });

  test.for<[string, number, string]>([
    ["files", IGNORE_MAX_FILES, "a"],
    ["bytes", 4, `a\n${"#".repeat(IGNORE_TOTAL_MAX_BYTES / 4 - 2)}`],
  ])("[TOOL21] no more %s of them are taken than a bound", async ([, taken, text]) => {
    const names = Array.from({ length: taken + 2 }, (_, i) => `${i + 1_000}`);
    const files = names.flatMap((name) => [[`${name}/.gitignore`, text] as const, [`${name}/a`, ""] as const]);
    const { base, draft } = await memoryDraft(Object.fromEntries(files));
    const walk = walkFiles(draft, "", { ignored: "skipped" });
    const paths = await Array.fromAsync(walk, ({ path }) => path);
    expect(paths.filter((path) => path.endsWith("a"))).toEqual(names.slice(taken).map((name) => `${name}/a`));
    expect(base.reads).toHaveLength(taken);
    const first = `${names[taken]}/.gitignore`;
    expect(walk.notes).toEqual([
      `${first} and 1 more .gitignore files were passed over: too large, too many, or no text.`,
    ]);
  });
});
