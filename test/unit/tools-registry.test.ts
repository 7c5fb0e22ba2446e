import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createToolRegistry } from "../../src/tools/registry.ts";
import { walkFiles } from "../../src/workspace/walk-files.ts";
import { memoryDraft } from "../support/memory-workspace.ts";
import { runTool } from "../support/run-tool.ts";

const NAMES = ["read", "write", "edit", "list", "glob", "grep", "delete", "wait"];
const ALL_NAMES = [...NAMES, "ask_user"];
const registry = createToolRegistry();

/** A tool that the gateway runs itself. */
function ranBy(name: string) {
  const tool = registry.get(name);
  return tool !== undefined && "run" in tool ? tool : undefined;
}

test("[TOOL1, TOOL17] the tools stand in one order, described in the same words every time", () => {
  expect(registry.specs().map(({ name }) => name)).toEqual(ALL_NAMES);
  expect(JSON.stringify(createToolRegistry().specs())).toBe(JSON.stringify(registry.specs()));
});

test("[TOOL1] a tool's schema shows nothing of the root that its paths are taken under", () => {
  const elsewhere = createToolRegistry("/elsewhere");
  for (const { name, input_schema } of registry.specs()) {
    const input = elsewhere.get(name)?.input;
    expect(input === undefined ? {} : z.toJSONSchema(input, { io: "input" })).toMatchObject(input_schema);
  }
  expect(JSON.stringify(elsewhere.specs())).toBe(JSON.stringify(registry.specs()));
});

test("[TOOL1] a tool is found by its own name only", () => {
  for (const name of ALL_NAMES) expect(registry.get(name)?.name).toBe(name);
  for (const name of ["", "Read", "bash", "constructor", "__proto__"]) expect(registry.get(name)).toBeUndefined();
});

test.for(registry.specs())("[TOOL1] the schema of $name is one of an object that takes nothing else", (spec) => {
  expect(spec.input_schema).toMatchObject({ type: "object", additionalProperties: false });
  expect(spec.input_schema).not.toHaveProperty("$schema");
  expect(spec.description.length).toBeGreaterThan(20);
  expect(registry.get(spec.name)?.input.safeParse({ surprise: 1 }).success).toBe(false);
});

test("[TOOL4] the tools that only read say so, and no other", () => {
  const readOnly = NAMES.filter((name) => ranBy(name)?.readOnly);
  expect(readOnly).toEqual(["read", "list", "glob", "grep"]);
});

test("[TOOL14] all may run again after an interruption, but for a wait that forbids it", () => {
  const wait = ranBy("wait");
  for (const name of NAMES.filter((name) => name !== "wait")) expect(ranBy(name)?.retry).toBe("safe");
  const retryOf = (input: unknown) => (typeof wait?.retry === "function" ? wait.retry(wait.input.parse(input)) : null);
  expect(retryOf({ seconds: 1 })).toBe("safe");
  expect(retryOf({ seconds: 1, unsafely: true })).toBe("unsafe");
});

describe("paths", () => {
  const inputs: Record<string, Record<string, unknown>> = {
    read: {},
    write: { content: "x" },
    edit: { old_string: "a", new_string: "b" },
    delete: {},
    list: {},
    glob: { pattern: "*" },
    grep: { pattern: "a" },
  };
  const escapes = ["..", "../a", "a/../../b", "/etc/passwd", "~/a", "~", "a\\b", "a\0", "/workspace/../a", "a\u0085"];

  test.for(Object.keys(inputs))(
    "[GUARD1, GUARD6] %s refuses what leaves the workspace and changes nothing",
    async (name) => {
      for (const path of escapes) {
        const { draft } = await memoryDraft({ a: "a" });
        expect(await runTool(draft, name, { ...inputs[name], path })).toEqual({
          error: expect.stringMatching(/^path_refused: /),
        });
        expect(draft.changed).toBe(false);
      }
    },
  );

  test("[GUARD1, GUARD6] whatever path a call names, only plain paths inside are written", async () => {
    const steps = fc.constantFrom("..", ".", "", "~", "a", "/workspace", "\\", "\0", "%2e%2e", "é", "e\u0301");
    const path = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(steps).map((parts) => parts.join("/")),
    );
    await fc.assert(
      fc.asyncProperty(path, async (input) => {
        const { draft } = await memoryDraft();
        await runTool(draft, "write", { path: input, content: "x" });
        for await (const file of walkFiles(draft, "")) {
          expect(file.path).not.toMatch(/^[/~]|(^|\/)\.{0,2}(\/|$)|[\\\p{Cc}]/u);
          expect(file.path.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("[GUARD2] different spellings are the same file", async () => {
    const { draft } = await memoryDraft();
    await runTool(draft, "write", { path: "./f//../e\u0301.txt", content: "x" });
    expect(await runTool(draft, "read", { path: "/workspace/é.txt" })).toEqual({ text: "x" });
  });
});
