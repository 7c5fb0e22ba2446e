import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { walkFiles } from "../../src/workspace/walk-files.ts";
import { memoryDraft } from "../support/memory-workspace.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "turnpike-ignore-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Nothing of the user's own git counts. */
const env = { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };

function git(args: string[], input = ""): string {
  const run = ["-c", "core.ignoreCase=false", "-c", "core.excludesFile=", ...args];
  return execFileSync("git", run, { cwd: root, env, input, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

/** The files of each tree that git does not ignore. All trees are folders of one repository, so that git runs once. */
function keptByGit(trees: Record<string, string>[]): string[][] {
  rmSync(root, { recursive: true });
  mkdirSync(root);
  git(["init", "--quiet", "--template="]);
  // It ends with 1 where nothing is ignored, so one path always is.
  writeFileSync(join(root, ".gitignore"), "/ignored\n");
  const paths = ["ignored"];
  for (const [i, tree] of trees.entries()) {
    for (const [path, text] of Object.entries(tree)) {
      paths.push(`${i}/${path}`);
      // What is not there, git takes for a file.
      if (text === "") continue;
      mkdirSync(join(root, dirname(`${i}/${path}`)), { recursive: true });
      writeFileSync(join(root, `${i}/${path}`), text);
    }
  }
  const output = git(["check-ignore", "--no-index", "--stdin", "-z"], paths.join("\0"));
  const ignored = new Set(output.split("\0"));
  return trees.map((tree, i) => Object.keys(tree).filter((path) => !ignored.has(`${i}/${path}`)));
}

async function keptByUs(tree: Record<string, string>): Promise<string[]> {
  const { draft } = await memoryDraft(tree);
  return Array.fromAsync(walkFiles(draft, "", { ignored: "skipped" }), ({ path }) => path);
}

const char = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b") },
  fc.constantFrom("-", "]", " ", "!", "#", "*"),
);
const name = fc.string({ unit: char, minLength: 1, maxLength: 2 });
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));

const part = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b", "*", "?") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "[ab]",
      "[!a]",
      "[^b]",
      "[]-a]",
      "[a-]",
      "[!]a-b]",
      "[[:alpha:]]",
      "[a\\]]",
      "[a[:digit:]-b]",
    ),
  },
  fc.constantFrom("-", "\\a", "\\*", "\\", "[", "[b-a]", "[a-[:alpha:]]", "[[:no:]]", "[[:a]", " ", "\\ ", "!", "#"),
);
const names = fc.array(part, { minLength: 1, maxLength: 2 }).map((parts) => parts.join(""));
const segments = fc.array(fc.oneof({ weight: 6, arbitrary: names }, fc.constantFrom("**", "**", "***", "")), {
  minLength: 1,
  maxLength: 3,
});
const line = fc
  .tuple(
    fc.constantFrom("", "", "", "!", "!", "#", "\\!", " "),
    fc.constantFrom("", "", "/", "**/"),
    segments.map((all) => all.join("/")),
    fc.constantFrom("", "", "", "/", "/**", " ", "\\ ", "\r"),
  )
  .map((parts) => parts.join(""))
  // Stars side by side at the end of a name that begins as plain text are taken for folders, against git's own manual.
  .filter((text) => !/[^/*]\*\*/.test(text));
const ignoreFile = fc
  .tuple(fc.array(line, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "\n", "\r\n"))
  .map(([lines, end]) => lines.join("\n") + end);

/** Files, and a few `.gitignore` files in folders that they lie in. */
const tree = fc
  .tuple(
    fc.array(path, { minLength: 3, maxLength: 10 }),
    fc.array(fc.tuple(fc.nat(9), fc.nat(2), ignoreFile), { minLength: 1, maxLength: 3 }),
  )
  .map(([paths, ignoreFiles]) => {
    const texts = new Map(paths.map((file) => [file, ""]));
    for (const [i, depth, text] of ignoreFiles) {
      const folder = (paths[i % paths.length] ?? "").split("/").slice(0, -1).slice(0, depth);
      texts.set([...folder, ".gitignore"].join("/"), text);
    }
    const all = [...texts.keys()];
    return Object.fromEntries([...texts].filter(([file]) => !all.some((other) => other.startsWith(`${file}/`))));
  });

test("[TOOL21] any tree and any .gitignore files in it come to what git makes of them", {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(tree, { minLength: 100, maxLength: 100 }), async (trees) => {
      const ours = await Promise.all(trees.map(keptByUs));
      const theirs = keptByGit(trees);
      for (const [i, kept] of theirs.entries()) {
        expect({ tree: trees[i], kept: ours[i]?.sort() }).toEqual({ tree: trees[i], kept: kept.sort() });
      }
    }),
    { numRuns: 8, endOnFailure: true },
  );
});
