import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ToolError } from "../../src/engine/ports.ts";
import { DirectoryFiles } from "../../src/local/directory-files.ts";
import { CAN_HOLD } from "../../src/local/held-folders.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { runTool } from "../support/run-tool.ts";
import { DirectoryPlace, snapshot } from "../support/workspace-directory.ts";
import { createDriver } from "../support/workspace-driver.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Stands in the files outside, and in names that nobody asks for. */
const SECRET = "s3cret";

/** What links are made to lead to, from anywhere in the directory. */
const TARGETS = [
  "BASE/outside",
  "BASE/outside/secret.txt",
  "BASE",
  "BASE/files-2",
  "../outside",
  "../outside/secret.txt",
  "../../outside/deep",
  "../outside/new.txt",
  "..",
  "../..",
  "../../..",
  "/",
  "/proc/self/root/BASE/outside",
  "../files-2",
  "../files/sub",
  "BASE/files/a",
  "nothing",
  ".",
  "a",
  "b",
  "link",
  "sub",
  "sub/link/deep",
] as const;

const NAMES = ["a", "b", "link", "sub", "deep", "secret.txt"];
const name = fc.constantFrom(...NAMES);
/** Places in the directory, two folders deep at most. */
const place = fc
  .array(fc.constantFrom("a", "b", "link", "sub"), { minLength: 1, maxLength: 3 })
  .map((n) => n.join("/"));
const rawPath = fc.oneof(
  { weight: 6, arbitrary: fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/")) },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.oneof(name, fc.constantFrom("..", ".", "outside")), { minLength: 1, maxLength: 5 })
      .map((names) => names.join("/")),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "/etc/hostname",
      "~",
      "BASE/outside/secret.txt",
      "BASE/files/link/deep",
      "BASE/files/../outside/x",
    ),
  },
);

type Plant = { at: string; target: string; aside: boolean };
const plant: fc.Arbitrary<Plant> = fc.record({ at: place, target: fc.constantFrom(...TARGETS), aside: fc.boolean() });

type Operation = { tool: string; input: Record<string, unknown> };
const operation: fc.Arbitrary<Operation> = rawPath.chain((path) =>
  fc.constantFrom<Operation>(
    { tool: "read", input: { path } },
    { tool: "list", input: { path } },
    { tool: "list", input: { path, recursive: true } },
    { tool: "glob", input: { pattern: "**/*" } },
    { tool: "glob", input: { pattern: "*", path } },
    { tool: "grep", input: { pattern: ".", path } },
    { tool: "write", input: { path, content: "one two" } },
    { tool: "write", input: { path, content: "", mode: "create" } },
    { tool: "write", input: { path, content: "more", mode: "append" } },
    { tool: "edit", input: { path, old_string: "one", new_string: "1" } },
    { tool: "delete", input: { path } },
    { tool: "client_read", input: { path } },
    { tool: "client_list", input: { path } },
    { tool: "client_write", input: { path } },
  ),
);

/** What happens: links are put somewhere, then something is done, in the middle of which more links come. */
type Scene = { planted: Plant[]; operation: Operation; during: { step: number; planted: Plant }[] };
const scene = (during: fc.Arbitrary<Scene["during"]>): fc.Arbitrary<Scene> =>
  fc.record({ planted: fc.array(plant, { maxLength: 3 }), operation, during });

let asides = 0;

/** Puts a link somewhere in the directory, whatever is there, itself following none. */
function plantLink({ base, files }: DirectoryPlace, { at, target, aside }: Plant): void {
  let folder = files;
  for (const one of at.split("/").slice(0, -1)) {
    folder = join(folder, one);
    const stats = lstatSync(folder, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isDirectory()) rmSync(folder);
    mkdirSync(folder, { recursive: true });
  }
  const path = join(files, at);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    if (aside) renameSync(path, `${path}-${++asides}`);
    else rmSync(path, { recursive: true });
  }
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target.replaceAll("BASE", base), path);
}

/** The tree that nothing may see or change, around the directory. */
function createWorld(): DirectoryPlace {
  const world = new DirectoryPlace();
  world.put({
    "outside/secret.txt": SECRET,
    [`outside/deep/${SECRET}/x`]: SECRET,
    "outside/a": SECRET,
    "outside/link": SECRET,
    "outside/sub/a": SECRET,
    "outside/sub/sub/b": SECRET,
    "outside/sub/new/y": SECRET,
    [`outside/sub/${SECRET}`]: "",
    [`files-2/${SECRET}`]: SECRET,
    "secret.txt": SECRET,
  });
  return world;
}

type Told = { text: string; steps: number };

/** Plays scenes over the same few files. Gives what was told to those who asked, and how many steps that took. */
async function play(world: DirectoryPlace, scenes: Scene[], byHandle: boolean): Promise<Told> {
  for (const one of readdirSync(world.files)) rmSync(join(world.files, one), { recursive: true });
  world.put({ "files/a": "one two", "files/sub/a": "one", "files/sub/sub/b": "two" });
  const sentinel = () => snapshot(world.base, [world.files, join(world.base, "state")]);
  const before = sentinel();
  const texts: string[] = [];
  let steps = 0;
  for (const { planted, operation: asked, during } of scenes) {
    for (const one of planted) plantLink(world, one);
    steps = 0;
    const onStep = () => {
      const due = during.filter(({ step }) => step === steps);
      steps++;
      for (const one of due) plantLink(world, one.planted);
    };
    texts.push(await perform(world, asked, { byHandle, before: onStep }));
    expect(sentinel()).toEqual(before);
  }
  return { text: texts.join("\n"), steps };
}

/** What a model or a client is told. Whatever is no error for them is thrown. */
async function perform(
  world: DirectoryPlace,
  { tool, input }: Operation,
  options: { byHandle: boolean; before: () => void },
): Promise<string> {
  const host = world.host(options);
  const path = String(input["path"] ?? "").replaceAll("BASE", world.base);
  const files = new DirectoryFiles(world.directory(options));
  try {
    switch (tool) {
      case "client_read":
        return new TextDecoder().decode(await files.read(path));
      case "client_list":
        return JSON.stringify(await files.list({ prefix: "", limit: 10, cursor: null }));
      case "client_write":
        return JSON.stringify(await files.write(path, new TextEncoder().encode("one, by a client")));
    }
    const draft = host.workspace.openDraft();
    const result = await runTool(
      draft,
      tool,
      input["path"] === undefined ? input : { ...input, path },
      undefined,
      world.files,
    );
    if ("error" in result) return `error: ${result.error}`;
    return draft.changed ? `${result.text} ${JSON.stringify(await createDriver(host).commit(draft))}` : result.text;
  } catch (thrown) {
    if (!(thrown instanceof ToolError) && !(thrown instanceof GatewayError)) throw thrown;
    return `error: ${thrown.message}`;
  }
}

const scenes = (during: fc.Arbitrary<Scene["during"]>) => fc.array(scene(during), { minLength: 1, maxLength: 6 });

describe("whatever is asked for, and wherever links are put, nothing outside is seen or changed", () => {
  test("[DIR1] [GUARD1] [GUARD6] where they come before and between operations", async () => {
    using world = createWorld();
    const run = async (played: Scene[], byHandle: boolean) => {
      expect((await play(world, played, byHandle)).text).not.toContain(SECRET);
    };
    await fc.assert(fc.asyncProperty(scenes(fc.constant([])), fc.boolean(), run), { numRuns: 150 });
  }, 60_000);
});

describe.runIf(CAN_HOLD)("the same, by handles", () => {
  const inTheMiddle = fc.array(fc.record({ step: fc.nat(60), planted: plant }), { maxLength: 4 });

  test("[DIR1] where they come in the middle of operations", async () => {
    using world = createWorld();
    const run = async (played: Scene[]) => {
      expect((await play(world, played, true)).text).not.toContain(SECRET);
    };
    await fc.assert(fc.asyncProperty(scenes(inTheMiddle), run), { numRuns: 100 });
  }, 60_000);
});

/** What would reach `outside/sub` if a name of its path were looked up once too often. */
const REACHING: Operation[] = [
  { tool: "read", input: { path: "sub/a" } },
  { tool: "list", input: { path: "sub" } },
  { tool: "glob", input: { pattern: "**/*" } },
  { tool: "grep", input: { pattern: ".", path: "sub" } },
  { tool: "client_read", input: { path: "sub/a" } },
  { tool: "client_list", input: {} },
  { tool: "client_write", input: { path: "sub/a" } },
  { tool: "client_write", input: { path: "sub/new/x" } },
  { tool: "write", input: { path: "sub/a", content: "more", mode: "append" } },
  { tool: "write", input: { path: "sub/new/x", content: "new" } },
  { tool: "edit", input: { path: "sub/sub/b", old_string: "two", new_string: "2" } },
  { tool: "delete", input: { path: "sub/sub/b" } },
];

/** Ahead of each step of an operation, puts a link to its like outside in the place of a folder, or of the file. */
async function swapAtEachStep(operation: Operation, byHandle: boolean): Promise<void> {
  using world = createWorld();
  const { steps } = await play(world, [{ planted: [], operation, during: [] }], byHandle);
  expect(steps).toBeGreaterThan(5);
  for (const at of new Set(["sub", String(operation.input["path"] ?? "sub/a")])) {
    for (let step = 0; step < steps; step++) {
      const planted = { at, target: `BASE/outside/${at}`, aside: step % 2 === 0 };
      const { text } = await play(world, [{ planted: [], operation, during: [{ step, planted }] }], byHandle);
      expect(text).not.toContain(SECRET);
    }
  }
}

describe("a link that takes a name's place at any step leads nowhere", () => {
  const reading = REACHING.filter(({ tool }) => /read|list|glob|grep/.test(tool));
  for (const [way, operations] of [
    ["by handles", CAN_HOLD ? REACHING : []],
    ["by paths", reading],
  ] as const) {
    for (const operation of operations) {
      const title = `${operation.tool} ${JSON.stringify(operation.input)} ${way}`;
      test(`[DIR1] ${title}`, () => swapAtEachStep(operation, way === "by handles"), 60_000);
    }
  }
});
