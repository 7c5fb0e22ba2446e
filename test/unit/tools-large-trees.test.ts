import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Draft, type Entry, ToolError } from "../../src/engine/ports.ts";
import { Directory } from "../../src/local/directory.ts";
import { DirectoryWorkspace } from "../../src/local/directory-workspace.ts";
import { StagedBytes } from "../../src/local/staged-bytes.ts";
import {
  GREP_MAX_FILES,
  IGNORE_FILE_MAX_BYTES,
  LIST_MAX_ENTRIES,
  WALK_MAX_ENTRIES,
  WALK_TIME_MS,
} from "../../src/protocol/limits.ts";
import { memoryDraft } from "../support/memory-workspace.ts";
import { runTool } from "../support/run-tool.ts";

afterEach(() => vi.useRealTimers());

const files = {
  ".git/HEAD": "two",
  ".gitignore": "/dist/\n*.log\n!keep.log\n",
  "a.log": "two",
  "a.ts": "one\ntwo",
  "dist/a.js": "two",
  "dist/b.log": "two",
  "node_modules/dep/index.js": "two",
  "src/keep.log": "two",
  "src/node_modules/x.ts": "two",
  "src/b.ts": "two",
};

type Call = [name: string, input: Record<string, unknown>, result: string[]];
const calls: Call[] = [
  ["glob", { pattern: "**" }, [".gitignore", "a.ts", "src/b.ts", "src/keep.log"]],
  ["glob", { pattern: "*.js", path: "dist" }, ["dist/a.js"]],
  ["glob", { pattern: "*", path: "dist" }, ["dist/a.js", "dist/b.log"]],
  ["glob", { pattern: "*.js", path: "node_modules/dep" }, ["node_modules/dep/index.js"]],
  ["glob", { pattern: "HEAD", path: ".git" }, [".git/HEAD"]],
  ["glob", { pattern: "dist/*" }, ['No file matches "dist/*".']],
  ["grep", { pattern: "two" }, ["a.ts:2: two", "src/b.ts:1: two", "src/keep.log:1: two"]],
  ["grep", { pattern: "two", glob: "*.log" }, ["src/keep.log:1: two"]],
  ["grep", { pattern: "two", path: "a.log" }, ["a.log:1: two"]],
  ["grep", { pattern: "two", path: "dist/b.log" }, ["dist/b.log:1: two"]],
  ["grep", { pattern: "two", path: "src/node_modules" }, ["src/node_modules/x.ts:1: two"]],
  ["grep", { pattern: "two", path: "src" }, ["src/b.ts:1: two", "src/keep.log:1: two"]],
  [
    "list",
    {},
    [".git/", ".gitignore (23 bytes)", "a.log (3 bytes)", "a.ts (7 bytes)", "dist/", "node_modules/", "src/"],
  ],
  ["list", { path: "dist" }, ["dist/a.js (3 bytes)", "dist/b.log (3 bytes)"]],
  [
    "list",
    { recursive: true },
    [
      ".gitignore (23 bytes)",
      "a.ts (7 bytes)",
      "src/b.ts (3 bytes)",
      "src/keep.log (3 bytes)",
      ".git/HEAD (3 bytes)",
      "a.log (3 bytes)",
      "dist/a.js (3 bytes)",
      "dist/b.log (3 bytes)",
      "node_modules/dep/index.js (3 bytes)",
      "src/node_modules/x.ts (3 bytes)",
    ],
  ],
];

describe("what is ignored", () => {
  test.for(calls)("[TOOL20] [TOOL22] %s %j", async ([name, input, result]) => {
    const { draft } = await memoryDraft(files);
    expect(await runTool(draft, name, input)).toEqual({ text: result.join("\n") });
  });

  test("[TOOL20] is the same in a directory", async () => {
    const folder = mkdtempSync(join(tmpdir(), "turnpike-tools-"));
    try {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, "files", path)), { recursive: true });
        writeFileSync(join(folder, "files", path), text);
      }
      const directory = Directory.open(join(folder, "files"));
      const stages = new StagedBytes(join(folder, "stages"));
      const workspace = new DirectoryWorkspace({ directory, stages, now: Date.now });
      for (const [name, input, result] of calls) {
        expect(await runTool(workspace.openDraft(), name, input)).toEqual({ text: result.join("\n") });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("[TOOL22] is not read by a search", async () => {
    const { base, draft } = await memoryDraft(files);
    await runTool(draft, "grep", { pattern: "none" });
    expect([...new Set(base.reads)].sort()).toEqual([".gitignore", "a.ts", "src/b.ts", "src/keep.log"]);
  });

  test("[TOOL20] is not what a path that is missing may have meant", async () => {
    const { draft } = await memoryDraft({ ...files, "lib/index.ts": "" });
    expect(await runTool(draft, "read", { path: "index.md" })).toEqual({
      error: 'There is no file "index.md". Similar: "lib/index.ts".',
    });
  });

  test("[TOOL21] a .gitignore that counts for nothing is named in the result", async () => {
    const { draft } = await memoryDraft({ a: "two", ".gitignore": "#".repeat(IGNORE_FILE_MAX_BYTES + 1) });
    const note = "[.gitignore was passed over: too large, too many, or no text.]";
    expect(await runTool(draft, "glob", { pattern: "a" })).toEqual({ text: `a\n${note}` });
    expect(await runTool(draft, "grep", { pattern: "two" })).toEqual({ text: `a:1: two\n${note}` });
    expect(await runTool(draft, "list", { recursive: true })).toHaveProperty("text", expect.stringContaining(note));
  });
});

const FOLDERS = 2_000;

/** A tree of 2,000 folders with 99 files each. */
function largeDraft(onList: (folder: string) => void = () => undefined): Draft {
  const folders = Array.from({ length: FOLDERS }, (_, i): Entry => ({ kind: "folder", path: `${i + 10_000}/` }));
  return {
    async entries(folder) {
      onList(folder);
      if (folder === "") return folders;
      return Array.from({ length: 99 }, (_, i): Entry => ({ kind: "file", path: `${folder}/${i + 100}`, size: 1 }));
    },
    stat: async () => null,
    read: async () => null,
    write: () => undefined,
    remove: () => undefined,
  };
}

describe("a large tree", () => {
  const ended = `[Only ${WALK_MAX_ENTRIES} files and folders were looked at. Name a folder further down.]`;
  const all = WALK_MAX_ENTRIES - FOLDERS;

  test("[TOOL23] a glob counts what it came to, and says that there may be more", async () => {
    const found = await runTool(largeDraft(), "glob", { pattern: "*" });
    const text = "text" in found ? found.text.split("\n") : [];
    expect(text).toHaveLength(LIST_MAX_ENTRIES + 2);
    expect(text.slice(-2)).toEqual([`[${LIST_MAX_ENTRIES} of at least ${all} shown. Narrow the pattern.]`, ended]);
    expect(await runTool(largeDraft(), "glob", { pattern: "x" })).toEqual({
      text: `No file matches "x".\n${ended}`,
    });
  });

  test("[TOOL23] so does a recursive list", async () => {
    const found = await runTool(largeDraft(), "list", { recursive: true });
    const advice = "List a folder further down, or use glob.";
    const expected = `[${LIST_MAX_ENTRIES} of at least ${all} shown. ${advice}]\n${ended}`;
    expect(found).toHaveProperty("text", expect.stringContaining(expected));
  });

  test("[TOOL23] so does a search", async () => {
    const found = await runTool(largeDraft(), "grep", { pattern: "none" });
    expect(found).toEqual({
      text: [
        `Nothing was found in ${GREP_MAX_FILES} files.`,
        ended,
        `[Only ${GREP_MAX_FILES} of at least ${all} files were searched. Narrow the path or the glob, or shorten the pattern.]`,
      ].join("\n"),
    });
  });

  test("[TOOL23] a path that is missing is looked for in a small part of it", async () => {
    let listed = 0;
    const draft = largeDraft(() => listed++);
    const entries = async (folder: string) => (folder === "x" ? [] : draft.entries(folder));
    expect(await runTool({ ...draft, entries }, "read", { path: "x" })).toEqual({ error: 'There is no file "x".' });
    expect(listed).toBeLessThan(100);
  });

  test.for(["glob", "list", "grep"])("[TOOL23] %s ends when its time is up", async (name) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    let listed = 0;
    const draft = largeDraft(() => {
      listed++;
      vi.setSystemTime(Date.now() + WALK_TIME_MS / 4);
    });
    const found = await runTool(draft, name, name === "list" ? { recursive: true } : { pattern: "none" });
    expect(found).toHaveProperty("text", expect.stringContaining("[Time was up after 2396 files and folders."));
    expect(listed).toBe(5);
  });

  test.for(["glob", "list", "grep"])("[TOOL23] %s ends when its call is stopped", async (name) => {
    const stopped = new AbortController();
    let listed = 0;
    const draft = largeDraft(() => {
      if (++listed === 3) stopped.abort(new Error("stopped"));
    });
    const input = name === "list" ? { recursive: true } : { pattern: "none" };
    await expect(runTool(draft, name, input, stopped.signal)).rejects.toThrow("stopped");
    expect(listed).toBe(3);
  });

  const name = "a".repeat(240);
  const ignoring = (text: string): Partial<Draft> => ({
    entries: async () => [
      { kind: "file", path: ".gitignore", size: text.length },
      ...Array.from({ length: 30_000 }, (_, i): Entry => ({ kind: "file", path: `${name}${i}`, size: 1 })),
    ],
    read: async () => new TextEncoder().encode(text),
  });
  test.for<[string, string, string]>([
    ["a pattern of many stars", `${"{*a,*a}".repeat(6)}${"*a?".repeat(100)}*c*`, ""],
    ["a .gitignore of many lines", "x", "b*\n".repeat(21_000)],
  ])("[TOOL23] %s has an end, however many names are made for it", { timeout: 20_000 }, async ([, pattern, text]) => {
    const draft = { ...largeDraft(), ...ignoring(text) };
    expect(await runTool(draft, "glob", { pattern })).toEqual({
      text: `No file matches "${pattern}".\n[Comparing paths with the patterns took too long and was ended. Name a folder further down.]`,
    });
  });
});

describe("what cannot be had", () => {
  const refuse =
    (...refused: string[]) =>
    (path: string) => {
      if (refused.includes(path)) throw new ToolError(`No permission for ${path}.`);
    };

  test("[TOOL23] a folder that cannot be listed ends no walk, and the result says so", async () => {
    const { base, draft } = await memoryDraft({ "a/x": "two", "b/x": "two", c: "two" });
    const entries = base.entries.bind(base);
    const check = refuse("a");
    base.entries = async (folder) => {
      check(folder);
      return entries(folder);
    };
    const note = "[1 folders could not be listed.]";
    expect(await runTool(draft, "glob", { pattern: "*" })).toEqual({ text: `b/x\nc\n${note}` });
    expect(await runTool(draft, "list", { recursive: true })).toEqual({
      text: `b/x (3 bytes)\nc (3 bytes)\n${note}`,
    });
    expect(await runTool(draft, "glob", { pattern: "*", path: "a" })).toEqual({ error: "No permission for a." });
  });

  test("[TOOL18] a file that cannot be read ends no search, and the result says so", async () => {
    const { base, draft } = await memoryDraft({ a: "two", b: "two", c: "two", ".gitignore": "c" });
    const read = base.read.bind(base);
    const check = refuse("a", ".gitignore");
    base.read = async (file) => {
      check(file.path);
      return read(file);
    };
    expect(await runTool(draft, "grep", { pattern: "two" })).toEqual({
      text: [
        "b:1: two",
        "c:1: two",
        "[.gitignore was passed over: too large, too many, or no text.]",
        "[2 files could not be read. No permission for .gitignore.]",
      ].join("\n"),
    });
    base.read = async () => {
      throw new TypeError("a mistake of ours");
    };
    await expect(runTool(draft, "grep", { pattern: "two" })).rejects.toThrow("a mistake of ours");
  });
});
