import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type BlockSpec, message, text, toolUse } from "../support/messages-script.ts";
import { assistant, blockOf, createClaudeScene, dataOf, outline } from "./claude-scene.ts";
import { gatherBlobReads } from "./platform.ts";
import { ADMIN, unwrap } from "./session-scene.ts";

const DONE = message([text("Done.")]);

/** A call whose input is this text, whatever it is. */
function rawCall(id: string, name: string, json: string): BlockSpec {
  return {
    start: { type: "tool_use", id, name, input: {} },
    deltas: [{ type: "input_json_delta", partial_json: json }],
  };
}

const write = (id: string, content: string, mode = "overwrite") =>
  toolUse(id, "write", { path: "work_products/a.txt", content, mode });
const read = (id: string, path = "work_products/a.txt") => toolUse(id, "read", { path });

function failed(tool_use_id: string, content: RegExp) {
  return { type: "tool_result", tool_use_id, content: expect.stringMatching(content), is_error: true };
}

describe("a call that cannot be run", () => {
  it("[TOOL3] [MODEL4] gives an error result that the model can read, and the turn goes on", async () => {
    const calls: [BlockSpec, RegExp][] = [
      [toolUse("unknown", "bash", { command: "ls" }), /no tool named "bash"/],
      [toolUse("missing", "write", { path: "a.txt" }), /content/],
      [toolUse("extra", "read", { path: "a.txt", colour: "red" }), /colour/],
      [rawCall("unreadable", "write", '{"path": "a.txt", "content": "A"'), /not a valid JSON object/],
      [rawCall("array", "list", '["a.txt"]'), /not a valid JSON object/],
      [toolUse("above", "write", { path: "../a.txt", content: "A" }), /leaves the workspace/],
      [toolUse("absolute", "read", { path: "/etc/passwd" }), /absolute/],
      [toolUse("nul", "write", { path: "a\u0000.txt", content: "A" }), /NUL/],
      [toolUse("throws", "read", { path: "nothing.txt" }), /nothing\.txt/],
    ];
    const scene = await createClaudeScene([message(calls.map(([call]) => call)), DONE]);
    expect(await scene.run("Try")).toMatchObject({ status: "complete", tool_calls: calls.length });

    const [, said, answered] = (await scene.claude.request(1)).messages;
    const blocks = calls.map(([{ start, deltas }]) => {
      const cut = start["id"] === "unreadable" || start["id"] === "array";
      // What is no object cannot be sent back: the API would refuse it.
      return cut ? start : blockOf({ start, deltas });
    });
    expect(said).toEqual(assistant(...blocks));
    expect(answered?.content).toEqual(calls.map(([{ start }, content]) => failed(String(start["id"]), content)));

    const shown = dataOf(await scene.log(), "TOOL_RESULT");
    expect(shown.map(({ tool_use_id }) => tool_use_id)).toEqual(calls.map(([{ start }]) => start["id"]));
    expect(shown.every(({ is_error }) => is_error)).toBe(true);
    const { files } = unwrap(await scene.stub.files(ADMIN, { prefix: "", limit: 10, cursor: null }));
    expect(files).toEqual([]);
  });

  it("[TOOL3] [ERR4] for a reason that nobody foresaw says only that it failed", async () => {
    const digest = vi.spyOn(crypto.subtle, "digest").mockRejectedValueOnce(new TypeError("sk-secret at 10.0.0.7"));
    const printed = vi.spyOn(console, "error").mockReturnValue();
    onTestFinished(() => {
      digest.mockRestore();
      printed.mockRestore();
    });
    const scene = await createClaudeScene([message([write("fails", "A"), write("works", "B")]), DONE]);
    expect(await scene.run("Write")).toMatchObject({ status: "complete", work_products: ["work_products/a.txt"] });
    const [, , answered] = (await scene.claude.request(1)).messages;
    expect(answered?.content).toEqual([
      failed("fails", /^The tool write failed: TypeError\.$/),
      { type: "tool_result", tool_use_id: "works", content: expect.stringContaining("Created") },
    ]);
    expect(JSON.stringify(await scene.log())).not.toContain("sk-secret");
    expect(printed).toHaveBeenCalledOnce();
  });
});

describe("a search", () => {
  it("[TOOL18] comes to an end in the Worker, whatever its pattern", async () => {
    const grep = (id: string, pattern: string) => toolUse(id, "grep", { pattern });
    const calls = [
      write("write", `${"a".repeat(30_000)}\u00e9`),
      grep("hostile", "a*a*a*b"),
      grep("found", "(a+)+\\PL*\u00e9$"),
    ];
    const scene = await createClaudeScene([message([...calls, grep("refused", "a(?=b)")]), DONE]);
    expect(await scene.run("Search")).toMatchObject({ status: "complete" });
    const [, , answered] = (await scene.claude.request(1)).messages;
    expect(answered?.content).toEqual([
      expect.objectContaining({ tool_use_id: "write" }),
      { type: "tool_result", tool_use_id: "hostile", content: "Nothing was found in 1 files." },
      { type: "tool_result", tool_use_id: "found", content: expect.stringMatching(/^work_products\/a\.txt:1: a+…$/) },
      failed("refused", /RE2/),
    ]);
  });
});

describe("several calls of one message", () => {
  it("[TOOL4] [TOOL5] [TOOL15] [MODEL4] run in order, and each sees what those before it did", async () => {
    const calls = [
      write("write", "1"),
      read("read"),
      read("missing", "nothing.txt"),
      write("append", "2", "append"),
      read("again"),
      toolUse("delete", "delete", { path: "work_products/a.txt" }),
      toolUse("list", "list", {}),
    ];
    const scene = await createClaudeScene([message([text("At once."), ...calls]), DONE]);
    expect(await scene.run("Work")).toMatchObject({ status: "complete", tool_calls: calls.length });

    const [, said, answered] = (await scene.claude.request(1)).messages;
    expect(said).toEqual(assistant({ type: "text", text: "At once." }, ...calls.map(blockOf)));
    const fine = (tool_use_id: string, content: unknown) => ({ type: "tool_result", tool_use_id, content });
    expect(answered?.content).toEqual([
      fine("write", expect.stringContaining("Created")),
      fine("read", "1"),
      failed("missing", /nothing/),
      fine("append", expect.stringContaining("Appended")),
      fine("again", "12"),
      fine("delete", expect.any(String)),
      fine("list", expect.stringContaining("empty")),
    ]);

    const log = await scene.log();
    expect(outline(log).slice(3)).toEqual([
      "TEXT",
      ...calls.map(({ start }) => `TOOL_CALL ${start["id"]}`),
      "TOOL_RESULT write",
      "WORK_PRODUCT",
      "TOOL_RESULT read",
      "TOOL_RESULT missing",
      "TOOL_RESULT append",
      "WORK_PRODUCT",
      "TOOL_RESULT again",
      "TOOL_RESULT delete",
      "TOOL_RESULT list",
      "TEXT",
      "ITERATION_END complete",
    ]);
    expect(dataOf(log, "TOOL_RESULT")[1]).toMatchObject({ is_error: false, content_preview: "1", content_size: 1 });
  });

  it("[TOOL4] run together where they only read", async () => {
    const three = [read("one"), read("two"), read("three")];
    const scene = await createClaudeScene([message([write("write", "1")]), message(three), DONE]);
    gatherBlobReads(three.length);
    expect(await scene.run("Read")).toMatchObject({ status: "complete", tool_calls: 4 });
    const results = dataOf(await scene.log(), "TOOL_RESULT").slice(1);
    expect(results).toMatchObject(three.map(({ start }) => ({ tool_use_id: start["id"], content_preview: "1" })));
  });
});
