import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { citationsIn, rulesOf } from "../support/spec-rules.ts";

const spec = readFileSync(new URL("../../src/protocol/SPEC.md", import.meta.url), "utf8");
const rules = rulesOf(spec);

/** Every test, with the rules that it names and the file that it stands in. */
function readCitations(): { file: string; title: string; rules: string[] }[] {
  const root = new URL("../", import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return files.flatMap((file) =>
    citationsIn(readFileSync(new URL(file, root), "utf8")).map((citation) => ({ file, ...citation })),
  );
}

test("[REPO2] each rule has its line, and its id once", () => {
  expect(spec.split("\n").filter((line) => line.startsWith("- "))).toHaveLength(rules.length);
  expect(rules.filter((id, at) => rules.indexOf(id) !== at)).toEqual([]);
});

test("[REPO2] a rule stands in the group that its id names", () => {
  let group = "";
  for (const line of spec.split("\n")) {
    group = /^## ([A-Z]+): /.exec(line)?.[1] ?? group;
    for (const id of rulesOf(line)) expect(id.replace(/[0-9]+$/, "")).toBe(group);
  }
});

test("[REPO2] every test begins with the rules that it checks, and they exist", () => {
  const citations = readCitations();
  expect(citations.length).toBeGreaterThan(0);
  const atFault = citations.filter(({ rules: named }) => named.length === 0 || named.some((id) => !rules.includes(id)));
  expect(atFault).toEqual([]);
});

test("[REPO2] every rule is checked by a test", () => {
  const cited = new Set(readCitations().flatMap((citation) => citation.rules));
  expect(rules.filter((id) => !cited.has(id))).toEqual([]);
});

test("[REPO2] citations are found as tests are written here", () => {
  // Spelt so that this sample is not taken for tests of this file.
  const source = `
    TEST("[A1] plain", () => {});
    TEST('[A2] single \\' quote', () => {});
    TEST.skip(\`[A3] [B1] template\`, () => {});
    TEST(
      "[A4, B2] on a line of its own",
      () => {});
    TEST.for([["(", 1], [")", 2]])("[A5] %s of a table", () => {});
    describe.for(SUITES)("%s", () => { TEST("[A6] inside", () => {}); });
    if (/x/.TEST("no title")) submit("no title either");
    TEST(title, () => {});
    TEST("without a rule", () => {});
    TEST("too late for [A7]", () => {});
  `.replaceAll("TEST", "test");
  expect(citationsIn(source).map(({ rules: named }) => named)).toEqual([
    ["A1"],
    ["A2"],
    ["A3", "B1"],
    ["A4", "B2"],
    ["A6"],
    [],
    [],
    ["A5"],
  ]);
});

test("[REPO2] a table of tests may fill in the rules", () => {
  const source = `TEST.for([["A1", 1], ["B22", 2], ["b", 3]])("[%s] %s", () => {});`.replaceAll("TEST", "test");
  expect(citationsIn(source)).toEqual([{ title: "[%s] %s", rules: ["A1", "B22"] }]);
});
