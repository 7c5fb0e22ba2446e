import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  GREP_FILE_MAX_BYTES,
  GREP_MAX_FILES,
  GREP_MAX_STEPS,
  GREP_TIME_MS,
  LIST_MAX_ENTRIES,
  PATTERN_MAX_CHARS,
  TOOL_RESULT_MAX_CHARS,
} from "../../src/protocol/limits.ts";
import { memoryDraft } from "../support/memory-workspace.ts";
import { runTool } from "../support/run-tool.ts";

afterEach(() => vi.useRealTimers());

const files = { "a.md": "one\ntwo\n", "f/b.ts": "let two = 2;\n", "f/g/c.md": "", "f/g/.d": "x", "f/h.md": "three" };
const named = (count: number, name: (i: number) => string) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), "x"]));

async function run(name: string, input: Record<string, unknown>, from: Record<string, string | Uint8Array> = files) {
  const { draft } = await memoryDraft(from);
  const result = await runTool(draft, name, input);
  return "text" in result ? result.text : result;
}

describe("list", () => {
  test("[TOOL9] shows what lies directly in a folder", async () => {
    expect(await run("list", {})).toBe("a.md (8 bytes)\nf/");
    expect(await run("list", { path: "f/" })).toBe("f/b.ts (13 bytes)\nf/g/\nf/h.md (5 bytes)");
    expect(await run("list", { path: "/workspace" })).toBe("a.md (8 bytes)\nf/");
  });

  test("[TOOL9] shows all files below it if asked to", async () => {
    expect(await run("list", { path: "f", recursive: true })).toBe(
      "f/b.ts (13 bytes)\nf/g/.d (1 bytes)\nf/g/c.md (0 bytes)\nf/h.md (5 bytes)",
    );
  });

  test("[TOOL9] says so where nothing lies", async () => {
    expect(await run("list", {}, {})).toBe("The workspace is empty.");
    expect(await run("list", { path: "none" })).toBe('There are no files in "none".');
    expect(await run("list", { path: "a.md" })).toEqual({ error: '"a.md" is a file, not a folder.' });
  });

  test("[TOOL11] is cut and says so", async () => {
    const result = await run(
      "list",
      {},
      named(LIST_MAX_ENTRIES + 5, (i) => `f${i}`),
    );
    expect(String(result).split("\n")).toHaveLength(LIST_MAX_ENTRIES + 1);
    expect(result).toContain(`\n[${LIST_MAX_ENTRIES} of ${LIST_MAX_ENTRIES + 5} shown.`);
    const long = await run(
      "list",
      {},
      named(LIST_MAX_ENTRIES, (i) => "x".repeat(500) + i),
    );
    expect(String(long).length).toBeLessThanOrEqual(TOOL_RESULT_MAX_CHARS);
    expect(long).toContain(`of ${LIST_MAX_ENTRIES} shown.`);
  });
});

describe("glob", () => {
  test.for<[string, string, string[]]>([
    ["*.md", "", ["a.md", "f/g/c.md", "f/h.md"]],
    ["*.md", "f", ["f/g/c.md", "f/h.md"]],
    ["./*.md", "", ["a.md"]],
    ["**/*.md", "", ["a.md", "f/g/c.md", "f/h.md"]],
    ["f/*", "", ["f/b.ts", "f/h.md"]],
    ["g/*", "f", ["f/g/.d", "f/g/c.md"]],
    ["f/**", "", ["f/b.ts", "f/g/.d", "f/g/c.md", "f/h.md"]],
    ["*.{ts,js}", "", ["f/b.ts"]],
    ["f/[bh].*", "", ["f/b.ts", "f/h.md"]],
    ["?.md", "", ["a.md", "f/g/c.md", "f/h.md"]],
    ["**", "", ["a.md", "f/b.ts", "f/g/.d", "f/g/c.md", "f/h.md"]],
    ["A.md", "", []],
  ])("[TOOL9] %s in %j", async ([pattern, path, found]) => {
    const expected = found.length === 0 ? `No file matches "${pattern}".` : found.join("\n");
    expect(await run("glob", { pattern, path })).toBe(expected);
  });

  test("[GUARD2] finds a name in whichever way its accents are spelt", async () => {
    expect(await run("glob", { pattern: "e\u0301*" }, { "été.md": "" })).toBe("été.md");
  });

  test.for(["../*", "/etc/*", "f/../../*", "", "x".repeat(501)])(
    "[GUARD6] the pattern %j is refused",
    async (pattern) => {
      expect(await run("glob", { pattern })).toHaveProperty("error");
    },
  );

  test("[TOOL11] is cut and says so", async () => {
    const result = await run(
      "glob",
      { pattern: "*" },
      named(LIST_MAX_ENTRIES + 1, (i) => `f${i}`),
    );
    expect(result).toContain(`\n[${LIST_MAX_ENTRIES} of ${LIST_MAX_ENTRIES + 1} shown.`);
  });
});

describe("grep", () => {
  test("[TOOL9] gives each line that matches, with its place", async () => {
    expect(await run("grep", { pattern: "t[wh]" })).toBe("a.md:2: two\nf/b.ts:1: let two = 2;\nf/h.md:1: three");
    expect(await run("grep", { pattern: "^two$" })).toBe("a.md:2: two");
    expect(await run("grep", { pattern: "TWO", ignore_case: true, path: "f" })).toBe("f/b.ts:1: let two = 2;");
    expect(await run("grep", { pattern: "two", glob: "*.md" })).toBe("a.md:2: two");
    expect(await run("grep", { pattern: "two", path: "a.md" })).toBe("a.md:2: two");
    expect(await run("grep", { pattern: "four" })).toBe("Nothing was found in 5 files.");
    expect(await run("grep", { pattern: "two", path: "none" })).toBe("Nothing was found in 0 files.");
  });

  test("[TOOL9] lines end in LF or CR LF, and the end of the last one begins no other", async () => {
    const texts = { crlf: "one\r\n\r\n", empty: "", lf: "\n" };
    expect(await run("grep", { pattern: "one$" }, texts)).toBe("crlf:1: one");
    expect(await run("grep", { pattern: "^$" }, texts)).toBe("crlf:2: \nlf:1: ");
  });

  test("[TOOL9] literal takes the pattern as it is", async () => {
    const texts = { a: "f(x) + [y] \\ {z}|^$*?./-\n", b: "fx" };
    for (const pattern of ["f(x)", "+ [y]", "\\ {z}|^$*?./-"]) {
      expect(await run("grep", { pattern, literal: true }, texts)).toBe(`a:1: ${texts.a.trimEnd()}`);
    }
    expect(await run("grep", { pattern: "F(X)", literal: true, ignore_case: true }, texts)).toContain("a:1:");
    expect(await run("grep", { pattern: "F(X)", literal: true }, texts)).toContain("Nothing");
  });

  test("[TOOL9] a pattern is RE2's, of whole characters", async () => {
    expect(await run("grep", { pattern: "^\\p{Lu}" }, { a: "Étude", b: "étude", c: "p{Lu}" })).toBe("a:1: Étude");
    expect(await run("grep", { pattern: "^.é$", ignore_case: true }, { a: "😀É" })).toBe("a:1: 😀É");
    expect(await run("grep", { pattern: "\\-\\_x" }, { a: "-_x" })).toBe("a:1: -_x");
  });

  test.for(["(", "a(?=b)", "(?<!a)b", "(a)\\1", "a{1001}", "((a{99}){99}){99}"])(
    "[TOOL18] the pattern %s, which is none of RE2's, is refused",
    async (pattern) => {
      const error = expect.stringMatching(/RE2, which has neither lookarounds nor backreferences; literal: true/);
      expect(await run("grep", { pattern })).toEqual({ error });
    },
  );

  test("[TOOL16] bytes that are no text are passed over", async () => {
    const texts = { nul: "two\0", latin: Uint8Array.of(0x74, 0x77, 0x6f, 0xe9), text: "two" };
    expect(await run("grep", { pattern: "two" }, texts)).toBe("text:1: two");
  });

  test("[TOOL11] matches end at the limit, which the result says", async () => {
    const texts = { a: "x\n".repeat(3), b: "x" };
    expect(await run("grep", { pattern: "x", limit: 2 }, texts)).toBe(
      "a:1: x\na:2: x\n[Only the first 2 matches are shown.]",
    );
    expect(await run("grep", { pattern: "x", limit: 4 }, texts)).toBe("a:1: x\na:2: x\na:3: x\nb:1: x");
  });

  test("[TOOL11] of a long line only what stands around the match is shown", async () => {
    const line = `${"a".repeat(1_000)}match${"b".repeat(500)}`;
    const result = String(await run("grep", { pattern: "match" }, { a: line }));
    expect(result).toMatch(/^a:1: …a{100}matchb+…$/);
    expect(result.length).toBeLessThan(320);
  });

  test("[TOOL18] the larger a pattern, the less it searches", async () => {
    const texts = { a: "x".repeat(1_000), b: "x".repeat(GREP_MAX_STEPS / 1_000) };
    expect(await run("grep", { pattern: "(y?){500}z" }, texts)).toBe(
      "Nothing was found in 1 files.\n[Only 1 of 2 files were searched. Narrow the path or the glob, or shorten the pattern.]",
    );
    expect(await run("grep", { pattern: "xz" }, texts)).toBe("Nothing was found in 2 files.");
  });

  test("[TOOL18] large files are passed over, and so are files beyond the number that one search takes", async () => {
    const texts = { big: `two${" ".repeat(GREP_FILE_MAX_BYTES)}`, small: "two" };
    expect(await run("grep", { pattern: "two" }, texts)).toBe(
      `small:1: two\n[1 files over ${GREP_FILE_MAX_BYTES} bytes were passed over.]`,
    );
    const many = await run(
      "grep",
      { pattern: "none" },
      named(GREP_MAX_FILES + 1, (i) => `f${i}`),
    );
    expect(many).toContain(`[Only ${GREP_MAX_FILES} of ${GREP_MAX_FILES + 1} files were searched.`);
  });

  test("[TOOL18] a search ends when its time is up", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { base, draft } = await memoryDraft(named(30, (i) => `f${i + 10}`));
    const read = base.read.bind(base);
    base.read = (file) => {
      vi.setSystemTime(Date.now() + GREP_TIME_MS / 8);
      return read(file);
    };
    expect(await runTool(draft, "grep", { pattern: "none" })).toEqual({
      text: "Nothing was found in 30 files.\n[Time was up after 12 of 30 files.]",
    });
  });

  test("[TOOL18] a search ends when its call is stopped", async () => {
    const { base, draft } = await memoryDraft(named(30, (i) => `f${i + 10}`));
    const stopped = new AbortController();
    const read = base.read.bind(base);
    base.read = (file) => {
      stopped.abort(new Error("stopped"));
      return read(file);
    };
    await expect(runTool(draft, "grep", { pattern: "none" }, stopped.signal)).rejects.toThrow("stopped");
    expect(base.reads.length).toBeLessThan(30);
  });

  const hostile = [
    "a*a*a*b",
    "(a+)+$",
    "(a*)*b",
    "(?:\\w+\\s*)+:",
    "(a|a)*[b-d]",
    "(a|b)*a(a|b){20}[^ab]",
    "(a?){50}a{50}$",
    "(.*,){12}P",
    "((((a?b?)*){0,9}){0,9}){0,9}$",
  ];
  test.for(hostile)(
    "[TOOL18] the pattern %s has an end, however long the line",
    { timeout: 10_000 },
    async (pattern) => {
      expect(await run("grep", { pattern }, { a: `${"a".repeat(10_000)}!` })).toMatch(/^Nothing was found|^a:1: /);
    },
  );

  test("[TOOL18] any pattern of stars, groups and alternatives has an end", { timeout: 60_000 }, async () => {
    const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
      pattern: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom("a", "b", ".", "[ab]", "\\w", "$"),
        fc
          .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2,9}", "{3,}"))
          .map(([inner, many]) => `(${inner})${many}`),
        fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => `(${one}|${other})`),
        fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => one + other),
      ),
    }));
    const line = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 40 }).map((part) => `${part.repeat(100)}!`);
    await fc.assert(
      fc.asyncProperty(pattern, line, async (any, text) => {
        await run("grep", { pattern: any.slice(0, PATTERN_MAX_CHARS) }, { text });
      }),
    );
  });
});
