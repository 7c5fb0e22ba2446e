import { describe, expect, test } from "vitest";
import { TOOL_FILE_MAX_BYTES, TOOL_RESULT_MAX_CHARS } from "../../src/protocol/limits.ts";
import { memoryDraft } from "../support/memory-workspace.ts";
import { runTool } from "../support/run-tool.ts";

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `line ${i + 1}\n`).join("");

describe("read", () => {
  test.for(["hello", "hello\n", "a\r\nb\r\n", "\ufeffmarked", "\n\n", "🙂\n$&"])(
    "[TOOL9] %j comes as it is",
    async (text) => {
      const { draft } = await memoryDraft({ a: text });
      expect(await runTool(draft, "read", { path: "a" })).toEqual({ text });
      expect(draft.changed).toBe(false);
    },
  );

  test("[TOOL9] an empty file is said to be empty", async () => {
    const { draft } = await memoryDraft({ a: "" });
    expect(await runTool(draft, "read", { path: "a" })).toEqual({ text: "[The file is empty.]" });
  });

  test("[TOOL9] a long file comes in windows that say how to go on", async () => {
    const { draft } = await memoryDraft({ a: numbered(5) });
    expect(await runTool(draft, "read", { path: "a", limit: 2 })).toEqual({
      text: "line 1\nline 2\n[Lines 1 to 2 of 5. Go on with offset 3.]",
    });
    expect(await runTool(draft, "read", { path: "a", offset: 3, limit: 2 })).toEqual({
      text: "line 3\nline 4\n[Lines 3 to 4 of 5. Go on with offset 5.]",
    });
    expect(await runTool(draft, "read", { path: "a", offset: 5, limit: 2 })).toEqual({
      text: "line 5\n[Lines 5 to 5 of 5.]",
    });
    expect(await runTool(draft, "read", { path: "a", limit: 5 })).toEqual({ text: numbered(5) });
    expect(await runTool(draft, "read", { path: "a", offset: 6 })).toEqual({
      error: '"a" has 5 lines; line 6 is beyond its end.',
    });
  });

  test("[TOOL9] without a limit 2,000 lines come", async () => {
    const { draft } = await memoryDraft({ a: numbered(2_001) });
    const result = await runTool(draft, "read", { path: "a" });
    expect(result).toEqual({ text: `${numbered(2_000)}[Lines 1 to 2000 of 2001. Go on with offset 2001.]` });
  });

  test("[TOOL11] what is over the size of a result is cut between lines, and within one that is too long itself", async () => {
    const line = `${"x".repeat(TOOL_RESULT_MAX_CHARS / 4 - 1)}\n`;
    const { draft } = await memoryDraft({ lines: line.repeat(5), one: `${"🙂".repeat(TOOL_RESULT_MAX_CHARS)}\nlast` });
    const lines = await runTool(draft, "read", { path: "lines" });
    expect(lines).toEqual({ text: `${line.repeat(3)}[Lines 1 to 3 of 5. Go on with offset 4.]` });
    const one = await runTool(draft, "read", { path: "one" });
    if (!("text" in one)) throw new Error(one.error);
    expect(one.text.length).toBeLessThanOrEqual(TOOL_RESULT_MAX_CHARS);
    expect(one.text.isWellFormed()).toBe(true);
    expect(one.text.slice(one.text.indexOf("\n"))).toBe(
      `\n[Line 1 of 2 has ${2 * TOOL_RESULT_MAX_CHARS + 1} characters and is cut here. Go on with offset 2.]`,
    );
  });

  test("[TOOL16] bytes that are no text are refused", async () => {
    const { draft } = await memoryDraft({
      nul: "a\0b",
      latin: Uint8Array.of(0xe9, 0x20),
      cut: Uint8Array.of(0xf0, 0x9f),
    });
    for (const path of ["nul", "latin", "cut"]) {
      expect(await runTool(draft, "read", { path })).toEqual({ error: expect.stringContaining("is a binary file") });
    }
  });

  test("[TOOL9] a missing file's error names what may have been meant", async () => {
    const { draft } = await memoryDraft({ "f/Report.md": "", "g/report.txt": "", other: "" });
    expect(await runTool(draft, "read", { path: "report.md" })).toEqual({
      error: 'There is no file "report.md". Similar: "f/Report.md", "g/report.txt".',
    });
    expect(await runTool(draft, "read", { path: "nothing" })).toEqual({ error: 'There is no file "nothing".' });
    expect(await runTool(draft, "read", { path: "f" })).toEqual({ error: expect.stringContaining('"f" is a folder') });
  });
});

describe("write", () => {
  const contentOf = async (draft: Awaited<ReturnType<typeof memoryDraft>>["draft"], path: string) =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode((await draft.read(path)) ?? undefined);

  test("[TOOL7] a new file has exactly the bytes of the text", async () => {
    for (const content of ["hello world", "", "a\r\nb", "\ufeffé🙂\n"]) {
      const { draft } = await memoryDraft();
      const size = new TextEncoder().encode(content).byteLength;
      expect(await runTool(draft, "write", { path: "work_products/a", content })).toEqual({
        text: `Created work_products/a (${size} bytes).`,
      });
      expect(await contentOf(draft, "work_products/a")).toBe(content);
    }
  });

  test("[TOOL7] overwrite replaces, append adds to the end, create fails where a file is", async () => {
    const { draft } = await memoryDraft({ a: "one" });
    expect(await runTool(draft, "write", { path: "a", content: "x", mode: "create" })).toHaveProperty("error");
    expect(draft.changed).toBe(false);
    expect(await runTool(draft, "write", { path: "a", content: "two" })).toEqual({
      text: "Overwrote a (3 bytes, before 3).",
    });
    expect(await contentOf(draft, "a")).toBe("two");
    await runTool(draft, "write", { path: "a", content: "\nthree", mode: "append" });
    expect(await contentOf(draft, "a")).toBe("two\nthree");
    await runTool(draft, "write", { path: "b", content: "new", mode: "create" });
    await runTool(draft, "write", { path: "c", content: "new", mode: "append" });
    expect([await contentOf(draft, "b"), await contentOf(draft, "c")]).toEqual(["new", "new"]);
  });

  test("[TOOL7] append keeps bytes that are no text", async () => {
    const { draft } = await memoryDraft({ a: Uint8Array.of(0, 0xff) });
    await runTool(draft, "write", { path: "a", content: "A", mode: "append" });
    expect(await draft.read("a")).toEqual(Uint8Array.of(0, 0xff, 0x41));
  });

  test("[TOOL10] a file that would become too large is refused", async () => {
    const { draft } = await memoryDraft({ a: new Uint8Array(TOOL_FILE_MAX_BYTES) });
    expect(await runTool(draft, "write", { path: "a", content: "A", mode: "append" })).toHaveProperty("error");
    expect(draft.changed).toBe(false);
  });

  test("[FILE12] a path that is a folder, or lies under a file, is refused with the reason", async () => {
    const { draft } = await memoryDraft({ a: "", "f/b": "" });
    expect(await runTool(draft, "write", { path: "a/b/c", content: "" })).toEqual({
      error: '"a" is a file, so there can be no "a/b/c".',
    });
    expect(await runTool(draft, "write", { path: "f", content: "" })).toEqual({ error: '"f" is a folder.' });
    expect(draft.changed).toBe(false);
  });
});

describe("edit", () => {
  const edit = async (before: string, input: Record<string, unknown>) => {
    const { draft } = await memoryDraft({ a: before });
    const result = await runTool(draft, "edit", { path: "a", ...input });
    const after = new TextDecoder("utf-8", { ignoreBOM: true }).decode((await draft.read("a")) ?? undefined);
    return { result, after, changed: draft.changed };
  };

  test("[TOOL8] one exact text is replaced, and the change is shown", async () => {
    const { result, after } = await edit(numbered(9), { old_string: "line 5", new_string: "$& $1 line five" });
    expect(after).toBe(numbered(9).replace("line 5", () => "$& $1 line five"));
    expect(result).toEqual({
      text: "Edited a.\n@@ -3,5 +3,5 @@\n line 3\n line 4\n-line 5\n+$& $1 line five\n line 6\n line 7\n",
    });
  });

  test("[TOOL8] everything else keeps its bytes", async () => {
    const { after } = await edit("\ufeffa\r\nb\tc\r\n", { old_string: "b\t", new_string: "" });
    expect(after).toBe("\ufeffa\r\nc\r\n");
  });

  test("[TOOL8] replace_all replaces every occurrence", async () => {
    const { after } = await edit("a-a-a", { old_string: "a", new_string: "aa", replace_all: true });
    expect(after).toBe("aa-aa-aa");
  });

  test("[TOOL8] a text that stands in several places is an error that names them", async () => {
    const { result, changed } = await edit("x\ny\nx\n", { old_string: "x", new_string: "z" });
    expect(result).toEqual({ error: expect.stringContaining("more than once (lines 1, 3)") });
    expect(changed).toBe(false);
    expect((await edit("aaa", { old_string: "aa", new_string: "b" })).changed).toBe(false);
    const many = await edit("x\n".repeat(50), { old_string: "x", new_string: "z" });
    expect(many.result).toEqual({ error: expect.stringContaining("(lines 1, 2, 3, 4, 5 and more)") });
  });

  test("[TOOL8] a text that is not there is an error, which says where white space differs", async () => {
    const missing = await edit("abc", { old_string: "abd", new_string: "x" });
    expect(missing).toMatchObject({ result: { error: expect.stringContaining("not in") }, changed: false });
    const spaced = await edit("x\n  if (a) {\r\n\treturn;\n", { old_string: "if (a) {\n  return;", new_string: "x" });
    expect(spaced.result).toEqual({
      error: expect.stringContaining('Line 2 has it with other white space:\n"if (a) {'),
    });
    expect(spaced.changed).toBe(false);
  });

  test("[TOOL8] what would change nothing, an empty text and a missing file are errors", async () => {
    expect(await edit("a", { old_string: "a", new_string: "a" })).toMatchObject({ changed: false });
    expect(await edit("a", { old_string: "", new_string: "a" })).toMatchObject({ changed: false });
    const { draft } = await memoryDraft();
    expect(await runTool(draft, "edit", { path: "a", old_string: "a", new_string: "b" })).toHaveProperty("error");
  });

  test("[TOOL11] a large change is made and not shown whole", async () => {
    const long = await edit(`a\n${"x".repeat(50_000)}`, { old_string: "x".repeat(50_000), new_string: "y" });
    expect(long.after).toBe("a\ny");
    expect(JSON.stringify(long.result).length).toBeLessThan(10_000);
    const many = await edit("x\n".repeat(5_000), { old_string: "x", new_string: "y", replace_all: true });
    expect(many.after).toBe("y\n".repeat(5_000));
    expect(many.result).toEqual({ text: "Edited a. The change is too large to show." });
  });
});

describe("delete", () => {
  test("[TOOL9] a file goes", async () => {
    const { draft } = await memoryDraft({ a: "", b: "" });
    expect(await runTool(draft, "delete", { path: "a" })).toEqual({ text: "Deleted a." });
    expect((await draft.entries("")).map(({ path }) => path)).toEqual(["b"]);
    expect(await runTool(draft, "delete", { path: "a" })).toHaveProperty("error");
  });

  test("[TOOL9] a folder does not", async () => {
    const { draft } = await memoryDraft({ "f/a": "" });
    expect(await runTool(draft, "delete", { path: "f" })).toEqual({ error: expect.stringContaining("is a folder") });
    expect(draft.changed).toBe(false);
  });
});
