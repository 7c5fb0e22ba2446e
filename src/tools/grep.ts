import * as z from "zod";
import { type Draft, type FileEntry, ToolError } from "../engine/ports.ts";
import {
  GREP_DEFAULT_MATCHES,
  GREP_FILE_MAX_BYTES,
  GREP_MAX_FILES,
  GREP_MAX_MATCHES,
  GREP_MAX_STEPS,
  GREP_TIME_MS,
  GREP_TOTAL_MAX_BYTES,
  PATTERN_MAX_CHARS,
} from "../protocol/limits.ts";
import { decodeText } from "../workspace/decode-text.ts";
import { createGlobMatcher, globInput } from "../workspace/glob-pattern.ts";
import { folderPrefix, type PathInputs } from "../workspace/paths.ts";
import { walkFiles } from "../workspace/walk-files.ts";
import { defineTool } from "./define-tool.ts";
import { fitLines, withNotes } from "./fit-lines.ts";
import { createLineFinder, type LineFinder } from "./line-finder.ts";

/** Files that are read at once: the platform lets one invocation wait for six connections. */
const PARALLEL_READS = 6;
/** Of a longer line a result shows what stands around the match. */
const EXCERPT_MAX_CHARS = 300;
const EXCERPT_LEAD_CHARS = 100;

export const createGrepTool = (paths: PathInputs) =>
  defineTool({
    name: "grep",
    description:
      "Searches the text files of the workspace line by line. Each match is given as path:line: text. The pattern is a " +
      "regular expression in RE2 syntax (no lookarounds, no backreferences), or plain text with literal. Passes over .git, " +
      "node_modules and what .gitignore files name, unless path is or lies in such a folder.",
    input: z.strictObject({
      pattern: z.string().min(1).max(PATTERN_MAX_CHARS).describe("What to look for within a line"),
      path: paths.folder.default("").describe("The folder, or the one file, to search; by default the whole workspace"),
      glob: globInput.optional().describe("Search only files that match, such as *.md"),
      literal: z.boolean().default(false).describe("Take the pattern as plain text"),
      ignore_case: z.boolean().default(false),
      limit: z.int().min(1).max(GREP_MAX_MATCHES).default(GREP_DEFAULT_MATCHES).describe("How many matches at most"),
    }),
    readOnly: true,
    retry: "safe",
    async run({ pattern, path, glob, literal, ignore_case, limit }, { workspace, signal }) {
      const finder = await createLineFinder(pattern, { literal, ignoreCase: ignore_case });
      const { files, notes } = withinLimits(await candidatesAt(workspace, path, glob, signal), finder.stepsPerChar);
      const found: string[] = [];
      const refusals: string[] = [];
      const until = Date.now() + GREP_TIME_MS;
      for (let i = 0; i < files.length && found.length <= limit; i += PARALLEL_READS) {
        signal.throwIfAborted();
        if (Date.now() > until) {
          notes.push(`Time was up after ${i} of ${files.length} files.`);
          break;
        }
        const batch = files.slice(i, i + PARALLEL_READS);
        const contents = await Promise.all(batch.map((file) => readOrRefusal(workspace, file.path)));
        for (const [j, file] of batch.entries()) {
          const content = contents[j] ?? null;
          if (typeof content === "string") refusals.push(content);
          const text = content instanceof Uint8Array ? decodeText(content) : null;
          if (text !== null) searchText(text, file.path, finder, limit, found);
        }
      }

      const shown = fitLines(found, limit);
      if (shown.length < found.length) notes.unshift(`Only the first ${shown.length} matches are shown.`);
      if (found.length === 0) shown.push(`Nothing was found in ${files.length - refusals.length} files.`);
      if (refusals.length > 0) notes.push(`${refusals.length} files could not be read. ${refusals[0]}`);
      return withNotes(shown, notes);
    },
  });

/** A file's bytes, null where it is gone meanwhile, or in words why it cannot be read: that ends no search. */
async function readOrRefusal(workspace: Draft, path: string): Promise<Uint8Array | string | null> {
  try {
    return await workspace.read(path);
  } catch (thrown) {
    if (thrown instanceof ToolError) return thrown.message;
    throw thrown;
  }
}

/** Adds the matches of a file until `found` holds one more than `limit`. */
function searchText(text: string, path: string, finder: LineFinder, limit: number, found: string[]): void {
  if (text === "") return;
  for (const [i, line] of text
    .replace(/\r?\n$/, "")
    .split(/\r?\n/)
    .entries()) {
    if (found.length > limit) break;
    const at = finder.find(line);
    if (at !== -1) found.push(`${path}:${i + 1}: ${excerpt(line, at)}`);
  }
}

function excerpt(line: string, at: number): string {
  if (line.length <= EXCERPT_MAX_CHARS) return line;
  const start = Math.max(0, at - EXCERPT_LEAD_CHARS);
  const part = line.slice(start, start + EXCERPT_MAX_CHARS).toWellFormed();
  return `${start > 0 ? "…" : ""}${part}${start + EXCERPT_MAX_CHARS < line.length ? "…" : ""}`;
}

/** What a search may look at: the first files that are small enough, and how many there are. */
type Candidates = { files: FileEntry[]; small: number; large: number; isCut: boolean; notes: string[] };

async function candidatesAt(
  workspace: Draft,
  path: string,
  glob: string | undefined,
  signal: AbortSignal,
): Promise<Candidates> {
  const file = path === "" ? null : await workspace.stat(path);
  const walk = walkFiles(workspace, path, { ignored: "skipped", signal });
  const start = folderPrefix(path).length;
  const matches = glob === undefined || file !== null ? () => true : createGlobMatcher(glob, walk.meter);
  const files: FileEntry[] = [];
  let small = 0;
  let large = 0;
  for await (const found of file === null ? walk : [file]) {
    if (!matches(found.path.slice(start))) continue;
    if (found.size > GREP_FILE_MAX_BYTES) large++;
    else if (++small <= GREP_MAX_FILES) files.push(found);
  }
  return { files, small, large, isCut: walk.isCut, notes: walk.notes };
}

/** The files that one search may read, and what is to be said of the others. */
function withinLimits(candidates: Candidates, stepsPerChar: number): { files: FileEntry[]; notes: string[] } {
  const { files, small, large, isCut } = candidates;
  const notes = [...candidates.notes];
  if (large > 0) notes.push(`${large} files over ${GREP_FILE_MAX_BYTES} bytes were passed over.`);
  const maxBytes = Math.min(GREP_TOTAL_MAX_BYTES, GREP_MAX_STEPS / stepsPerChar);
  let bytes = 0;
  let count = 0;
  for (const file of files) {
    bytes += file.size;
    if (bytes > maxBytes) break;
    count++;
  }
  if (count < small) {
    notes.push(
      `Only ${count} of ${isCut ? "at least " : ""}${small} files were searched. ` +
        "Narrow the path or the glob, or shorten the pattern.",
    );
  }
  return { files: files.slice(0, count), notes };
}
