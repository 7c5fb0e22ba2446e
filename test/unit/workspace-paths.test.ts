import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { GatewayError } from "../../src/protocol/errors.ts";
import { PATH_MAX_BYTES } from "../../src/protocol/limits.ts";
import { createPathInputs, WORKSPACE_ROOT, workspaceFolder, workspacePath } from "../../src/workspace/paths.ts";

/** What the guard says: the path, or the refusal. Anything else that it throws fails the test. */
function ask(guard: (input: string) => string, input: string): { path: string } | { refusal: string } {
  try {
    return { path: guard(input) };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code !== "path_refused") throw thrown;
    return { refusal: thrown.message };
  }
}

/** Pieces that escapes are made of, and names around them. */
const piece = fc.oneof(
  fc.constantFrom("..", ".", "", "/", "//", "~", "\\", "\0", "\n", "\u007f", "\u0085", "/workspace", "workspace"),
  fc.constantFrom(
    "%2e%2e",
    "%2f",
    "%00",
    "%252e",
    "‥",
    "．．",
    "∕",
    "／",
    "⁄",
    "。",
    "\u0338",
    "\u0301",
    "\ud800",
    "\udc00",
  ),
  fc.constantFrom(
    "a",
    "b.txt",
    "é",
    "e\u0301",
    "\u212b",
    "\u037e",
    "한",
    "\u1112\u1161\u11ab",
    "🙂",
    " ",
    "...",
    "CON",
    "C:",
  ),
  fc.string({ unit: "binary" }),
);
const anyPath = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(piece).map((pieces) => pieces.join("/")),
  fc.array(piece).map((pieces) => pieces.join("")),
);

/** What has to hold of every path that came through. */
function expectInside(path: string): void {
  expect(path).toBe(path.normalize("NFC"));
  expect(path.isWellFormed()).toBe(true);
  expect(path).not.toMatch(/^[/~]|[\\\p{Cc}]|\/$|\/\//u);
  for (const segment of path.split("/")) expect([".", ".."]).not.toContain(segment);
  expect(new TextEncoder().encode(path).byteLength).toBeLessThanOrEqual(PATH_MAX_BYTES);
}

describe("any path", () => {
  test("[GUARD2, GUARD4] what comes through is a plain path inside, and comes through again as it is", () => {
    fc.assert(
      fc.property(anyPath, (input) => {
        const answer = ask(workspacePath, input);
        if ("refusal" in answer) return;
        expect(answer.path).not.toBe("");
        expectInside(answer.path);
        expect(workspacePath(answer.path)).toBe(answer.path);
        expect(workspaceFolder(input)).toBe(answer.path);
      }),
      { numRuns: 3_000 },
    );
  });

  test("[GUARD2, GUARD4] a folder that comes through is the root or a plain path inside", () => {
    fc.assert(
      fc.property(anyPath, (input) => {
        const answer = ask(workspaceFolder, input);
        if ("refusal" in answer || answer.path === "") return;
        expectInside(answer.path);
        expect(workspaceFolder(`${answer.path}/`)).toBe(answer.path);
      }),
      { numRuns: 3_000 },
    );
  });

  test("[GUARD4] steps out that outnumber the steps in before them are refused", () => {
    const steps = fc.array(fc.constantFrom("..", "a", ".", ""), { minLength: 1 });
    fc.assert(
      fc.property(steps, (segments) => {
        let depth = 0;
        const leaves = segments.some((step) => {
          depth += step === ".." ? -1 : step === "a" ? 1 : 0;
          return depth < 0;
        });
        const answer = ask(workspacePath, `./${segments.join("/")}/file`);
        expect("refusal" in answer).toBe(leaves);
      }),
    );
  });

  test("[GUARD5] a refusal is one short line that shows no character as itself that could mislead", () => {
    fc.assert(
      fc.property(anyPath, (input) => {
        const answer = ask(workspacePath, input);
        if ("path" in answer) return;
        expect(answer.refusal).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(answer.refusal.length).toBeLessThan(3_000);
      }),
      { numRuns: 1_000 },
    );
  });
});

test.for([
  ["a", "a"],
  ["a/b.txt", "a/b.txt"],
  ["./a//b/./c", "a/b/c"],
  ["a/../b", "b"],
  ["a/b/../../c", "c"],
  ["/workspace/a", "a"],
  ["//workspace//./a", "a"],
  ["/workspace/a/../b", "b"],
  ["workspace/a", "workspace/a"],
  ["e\u0301", "é"],
  ["...", "..."],
  ["..a/b..", "..a/b.."],
  ["a~", "a~"],
  ["a/~", "a/~"],
  ["%2e%2e/%2e%2e/etc", "%2e%2e/%2e%2e/etc"],
  ["..%2fa", "..%2fa"],
  ["．．/a", "．．/a"],
  ["a∕..∕b", "a∕..∕b"],
  ["file:///etc/passwd", "file:/etc/passwd"],
  ["a".repeat(PATH_MAX_BYTES), "a".repeat(PATH_MAX_BYTES)],
] as const)("[GUARD2] %j is %j", ([input, path]) => {
  expect(workspacePath(input)).toBe(path);
});

const REFUSED = [
  ["", "empty"],
  ["..", 'leaves the workspace by ".."'],
  ["../a", 'leaves the workspace by ".."'],
  ["a/../../b", 'leaves the workspace by ".."'],
  ["./../a", 'leaves the workspace by ".."'],
  ["/workspace/../etc/passwd", 'leaves the workspace by ".."'],
  ["/workspace/../workspace/a", 'leaves the workspace by ".."'],
  ["/", "absolute"],
  ["/etc/passwd", "absolute"],
  ["//etc/passwd", "absolute"],
  ["/a/../workspace/b", "absolute"],
  ["/workspacea/b", "absolute"],
  ["/Workspace/a", "absolute"],
  ["~", '"~"'],
  ["~/a", '"~"'],
  ["~root/a", '"~"'],
  ["./~/a", '"~"'],
  ["a/../~b", '"~"'],
  ["/workspace/~a", '"~"'],
  ["a\0b", "control character"],
  ["a\nb", "control character"],
  ["a\u007fb", "control character"],
  ["a\u0085b", "control character"],
  ["..\\a", "backslash"],
  ["a\\..\\..\\b", "backslash"],
  ["a".repeat(PATH_MAX_BYTES + 1), "bytes"],
  ["é".repeat(PATH_MAX_BYTES / 2 + 1), "bytes"],
] as const;

test.for(REFUSED)("[GUARD3, GUARD4, GUARD5] %j is refused: %s", ([input, rule]) => {
  const answer = ask(workspacePath, input);
  expect(answer).toHaveProperty("refusal");
  if (!("refusal" in answer)) return;
  const [, reason = ""] = answer.refusal.split(" is refused: ");
  expect(reason).toContain(rule);
  expect(answer.refusal).toContain(
    JSON.stringify(input.slice(0, 20))
      .slice(1, -1)
      .replace(/[\u007f\u0085]b/, ""),
  );
});

test.for(["a/", "a/.", "a/b/..", ".", "/workspace", "/workspace/", "a\ud800", "\udc00"])(
  "[GUARD8] %j is refused",
  (input) => {
    expect(ask(workspacePath, input)).toHaveProperty("refusal");
  },
);

test.for([
  ["", ""],
  [".", ""],
  ["./", ""],
  ["/workspace", ""],
  ["/workspace/", ""],
  ["a/..", ""],
  ["a/", "a"],
  ["a/b/", "a/b"],
  ["/workspace/a", "a"],
] as const)("[GUARD2] the folder %j is %j", ([input, path]) => {
  expect(workspaceFolder(input)).toBe(path);
});

test("[GUARD3] a host may have its root elsewhere", () => {
  const root = "/home/ann/e\u0301tude/";
  expect(workspacePath("/home/ann/étude/a", root)).toBe("a");
  expect(workspacePath("a", root)).toBe("a");
  expect(() => workspacePath("/workspace/a", root)).toThrow(GatewayError);
  expect(() => workspacePath("/home/ann/a", root)).toThrow(GatewayError);
});

describe("as types of a tool's input", () => {
  const paths = createPathInputs(WORKSPACE_ROOT);
  const input = z.strictObject({ path: paths.file, folder: paths.folder.default("") });

  test("[GUARD1] a tool sees the path that the guard gave", () => {
    expect(input.parse({ path: "/workspace//a", folder: "b/" })).toEqual({ path: "a", folder: "b" });
    expect(input.parse({ path: "a" })).toEqual({ path: "a", folder: "" });
  });

  test("[GUARD6] a refusal is an issue that names the code, the path and the rule", () => {
    const result = input.safeParse({ path: "../a" });
    expect(result.error?.issues).toMatchObject([
      { path: ["path"], message: 'path_refused: The path "../a" is refused: it leaves the workspace by "..".' },
    ]);
  });

  test("[GUARD1] a model is told of a plain string", () => {
    expect(z.toJSONSchema(input, { io: "input" }).properties).toMatchObject({
      path: { type: "string", description: expect.stringContaining("relative to the workspace") },
      folder: { type: "string", description: expect.stringContaining("relative to the workspace") },
    });
  });
});
