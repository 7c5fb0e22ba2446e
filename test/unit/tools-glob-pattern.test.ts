import { matchesGlob } from "node:path/posix";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createGlobMatcher, globInput } from "../../src/workspace/glob-pattern.ts";

const matches = (glob: string, path: string) => createGlobMatcher(glob)(path);

test("[TOOL9] stars, question marks and folders match as they do elsewhere", () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 4 });
  const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join("/"));
  const part = fc.string({ unit: fc.constantFrom("a", "b", "é", "*", "?"), minLength: 1, maxLength: 4 });
  const glob = fc
    .array(fc.oneof(part, fc.constant("**")), { minLength: 2, maxLength: 5 })
    .map((parts) => parts.join("/"))
    // What stars side by side within a name mean differs from one program to the next.
    .filter((text) => !/\*\*[^/]|[^/]\*\*/.test(text));
  fc.assert(
    fc.property(glob, path, (pattern, file) => {
      expect(matches(pattern, file)).toBe(matchesGlob(file, pattern));
    }),
    { numRuns: 5_000 },
  );
});

test.for<[string, string[], string[]]>([
  ["*.md", ["a.md", "f/a.md", ".md"], ["a.mdx", "a.md/b"]],
  ["./*.md", ["a.md"], ["f/a.md"]],
  ["f/**", ["f/a", "f/g/a", "f/.a"], ["f", "a", "ff/a"]],
  ["**/a", ["a", "f/a", "f/g/a"], ["fa", "a/b"]],
  ["f/**/a", ["f/a", "f/g/h/a"], ["f/ga"]],
  ["a**b", ["ab", "axb", "f/axb"], ["a/b"]],
  ["?", ["a", "🙂", "f/é"], ["ab", ""]],
  ["[a-c]x", ["ax", "cx"], ["dx", "-x", "x"]],
  ["[!a-c]x", ["dx", "🙂x"], ["ax", "x"]],
  ["[^a]", ["b"], ["a"]],
  ["[]a]", ["]", "a"], ["[]a]"]],
  ["[!]", ["!"], ["a", "[!]"]],
  ["[]", ["[]"], ["a"]],
  ["[\\d^]", ["\\", "d", "^"], ["1"]],
  ["[c-a]", [], ["a", "b", "c-a"]],
  ["[a", ["[a"], ["a"]],
  ["a.(b|c)+$", ["a.(b|c)+$"], ["a.b", "axb"]],
  ["{a,b}.{c,d}", ["a.c", "b.d"], ["a.b", "{a,b}.c"]],
  ["{a,b/{c,d}}/*", ["a/x", "b/c/x", "b/d/x"], ["b/x", "c/x"]],
  ["a{,.txt}", ["a", "a.txt"], ["a."]],
  ["{a}", ["{a}"], ["a"]],
  ["{a", ["{a"], ["a"]],
])("[TOOL9] %s", ([glob, fitting, others]) => {
  expect(fitting.filter((path) => !matches(glob, path))).toEqual([]);
  expect(others.filter((path) => matches(glob, path))).toEqual([]);
});

test.for([
  ["stars", `${"*a".repeat(200)}*b`, "a".repeat(500)],
  ["folders", `${"**/a/".repeat(80)}**/b`, `${"a/".repeat(250)}c`],
  ["stars in folders", `${"**/*a*/".repeat(60)}b`, `${"aa/".repeat(160)}c`],
] as const)("[TOOL18] a pattern of many %s ends soon, however the path is made for it", ([, glob, path]) => {
  expect(matches(glob, path)).toBe(false);
});

test("[TOOL18] braces that come to too many alternatives are refused", () => {
  expect(globInput.safeParse("{a,b}".repeat(6)).success).toBe(true);
  expect(globInput.safeParse("{a,b}".repeat(7)).success).toBe(false);
  expect(globInput.safeParse("{a,b,c,d,e}".repeat(40)).success).toBe(false);
});
