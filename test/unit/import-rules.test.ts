import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { faultsOf, importsOf, MAY_IMPORT } from "../support/import-rules.ts";

/** The sources of the Worker and the CLI. Ambient declarations (`.d.ts`) are left out: they import nothing. */
function readSources(): Map<string, string> {
  const root = new URL("../../src/", import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => /(?<!\.d)\.tsx?$/.test(path));
  return new Map(files.map((path) => [path, readFileSync(new URL(path, root), "utf8")]));
}

/** The faults of a tree with one file beside those that it imports. */
const faultsOfFile = (path: string, source: string) => faultsOf(new Map([[path, source]]));

test("[REPO1] the project keeps its import rules", () => {
  const sources = readSources();
  expect(sources.has("index.ts")).toBe(true);
  expect(faultsOf(sources)).toEqual([]);
});

test("[REPO1] AGENTS.md lists the rules that are checked", () => {
  const page = readFileSync(new URL("../../AGENTS.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `([^`]+)` \| [^|]+ \|([^|]*)\|$/gm)];
  const listed = rows.map(([, room, allowed]) => [
    room,
    [...(allowed ?? "").matchAll(/`([^`]+)`/g)].map(([, one]) => one),
  ]);
  expect(Object.fromEntries(listed)).toEqual(MAY_IMPORT);
});

describe("reading imports", () => {
  test.for<[string, string, boolean]>([
    [`import { a } from "./a.ts";`, "./a.ts", false],
    [`import a from "./a.ts";`, "./a.ts", false],
    [`import type from "./a.ts";`, "./a.ts", false],
    [`import * as a from "./a.ts";`, "./a.ts", false],
    [`import a, { type B } from "./a.ts";`, "./a.ts", false],
    [`import { type B } from "./a.ts";`, "./a.ts", false],
    [`import {\n  a,\n  type B,\n} from "./a.ts";`, "./a.ts", false],
    [`import "./a.ts";`, "./a.ts", false],
    [`import data from "./a.json" with { type: "json" };`, "./a.json", false],
    [`import type { A } from "./a.ts";`, "./a.ts", true],
    [`import type A from "./a.ts";`, "./a.ts", true],
    [`import type * as a from "./a.ts";`, "./a.ts", true],
    [`import type {\n  A,\n} from "./a.ts";`, "./a.ts", true],
    [`export { a } from "./a.ts";`, "./a.ts", false],
    [`export {\n  a as b,\n} from "./a.ts";`, "./a.ts", false],
    [`export * from "./a.ts";`, "./a.ts", false],
    [`export * as a from "./a.ts";`, "./a.ts", false],
    [`export type { A } from "./a.ts";`, "./a.ts", true],
    [`const a = await import("./a.ts");`, "./a.ts", false],
    [`const a = import(\n  "./a.ts"\n);`, "./a.ts", false],
    [`let a: import("./a.ts").A;`, "./a.ts", false],
    ["const a = await import(name);", "?", false],
    ["const a = await import(`./$" + "{name}.ts`);", "?", false],
  ])("[REPO1] %s", ([source, specifier, typeOnly]) => {
    const around = `const before = "x";\n${source}\nexport const after = "./other.ts";\n`;
    expect(importsOf(around)).toEqual([{ specifier, typeOnly }]);
  });

  test.for([
    `export const a = "./a.ts";`,
    `export { a };\nconst from = "./a.ts";`,
    "export default { fetch };",
    `const important = "./a.ts";`,
    `archive.import("./a.ts");`,
    "const url = import.meta.url;",
  ])("[REPO1] no import: %s", (source) => {
    expect(importsOf(source)).toEqual([]);
  });

  test("[REPO1] statements one after the other are told apart", () => {
    const source = `import "./a.ts";\nimport b from "./b.ts";\nimport type { C } from "./c.ts";\n`;
    expect(importsOf(source).map(({ specifier }) => specifier)).toEqual(["./a.ts", "./b.ts", "./c.ts"]);
  });
});

describe("judging imports", () => {
  test.for<[string, string]>([
    ["protocol/a.ts", `import { z } from "zod";`],
    ["protocol/a.ts", `import { b } from "./b.ts";`],
    ["models/a.ts", `import { ModelError } from "../engine/ports.ts";`],
    ["session/session-object.ts", `import { index } from "../catalog/sessions-index.ts";`],
    ["session/session-object.ts", `import { DurableObject } from "cloudflare:workers";`],
    ["http/a.ts", `import { STREAM_REQUEST } from "../session/session-api.ts";`],
    ["http/a.ts", `import { sleep } from "../timing/sleep.ts";`],
    ["http/deep/a.ts", `import { b } from "../../protocol/b.ts";`],
    ["index.ts", `export { SessionObject } from "./session/session-object.ts";`],
    ["index.ts", `import { b } from "./models/b.ts";`],
    ["cli/commands/a.ts", `import { readFileSync } from "node:fs";`],
    ["local/a.ts", `import type { Gateway } from "../client/gateway.ts";`],
    ["http/health.ts", `import manifest from "../../package.json" with { type: "json" };`],
  ])("[REPO1] %s may: %s", ([path, source]) => {
    expect(faultsOfFile(path, source)).toEqual([]);
  });

  test.for<[string, string]>([
    ["timing/a.ts", `import { z } from "zod";`],
    ["timing/a.ts", `import { b } from "../protocol/b.ts";`],
    ["protocol/a.ts", `import { ulid } from "ulid";`],
    ["protocol/a.ts", `import type { Sql } from "../engine/ports.ts";`],
    ["engine/a.ts", `import { b } from "../session/b.ts";`],
    ["engine/a.ts", `import { Hono } from "hono";`],
    ["engine/a.ts", `import Anthropic from "@anthropic-ai/sdk";`],
    ["models/a.ts", `import { runTurn } from "../engine/run-turn.ts";`],
    ["models/a.ts", `import { b } from "../tools/b.ts";`],
    ["tools/a.ts", `import { b } from "../session/b.ts";`],
    ["session/a.ts", `import { b } from "../catalog/b.ts";`],
    ["session/a.ts", `import { env } from "cloudflare:workers";`],
    ["session/a.ts", `import { b } from "../http/b.ts";`],
    ["session/session-object.ts", `import { readFileSync } from "node:fs";`],
    ["http/a.ts", `import { SessionObject } from "../session/session-object.ts";`],
    ["http/a.ts", `const b = await import("../session/b.ts");`],
    ["http/a.ts", `import type { SessionObject } from "../session/session-object.ts";`],
    ["http/a.ts", `import type { Tool } from "../engine/ports.ts";`],
    ["client/a.ts", `import { join } from "node:path";`],
    ["client/a.ts", `import { b } from "../http/b.ts";`],
    ["local/a.ts", `import { b } from "../client/b.ts";`],
    ["cli/a.ts", `import { b } from "../session/b.ts";`],
    ["parity/a.ts", `import { b } from "../local/b.ts";`],
    ["index.ts", `import { b } from "./catalog/b.ts";`],
    ["http/a.ts", `import { b } from "../../test/support/b.ts";`],
    ["http/a.ts", "const b = await import(name);"],
    ["utils/a.ts", ""],
    ["helpers.ts", ""],
    ["http/utils.ts", ""],
  ])("[REPO1] %s may not: %s", ([path, source]) => {
    expect(faultsOfFile(path, source)).toHaveLength(path === "utils/a.ts" ? 2 : 1);
  });

  test("[REPO1] imports that go in a circle are shown as they go", () => {
    const circle = new Map([
      ["engine/start.ts", `import { a } from "./a.ts";`],
      ["engine/a.ts", `import { b } from "./b.ts";\nimport { c } from "./c.ts";`],
      ["engine/b.ts", `import { c } from "./c.ts";`],
      ["engine/c.ts", `import type { A } from "./a.ts";`],
    ]);
    expect(faultsOf(circle)).toEqual(["engine/a.ts -> engine/b.ts -> engine/c.ts -> engine/a.ts"]);
  });

  test("[REPO1] two ways to one file are no circle", () => {
    const diamond = new Map([
      ["engine/a.ts", `import { b } from "./b.ts";\nimport { c } from "./c.ts";`],
      ["engine/b.ts", `import { d } from "./d.ts";`],
      ["engine/c.ts", `import { d } from "./d.ts";`],
      ["engine/d.ts", ""],
    ]);
    expect(faultsOf(diamond)).toEqual([]);
  });
});
