import * as z from "zod";
import { type Draft, type Entry, type FileEntry, ToolError } from "../engine/ports.ts";
import type { PathInputs } from "../workspace/paths.ts";
import { walkFiles } from "../workspace/walk-files.ts";
import { defineTool } from "./define-tool.ts";
import { CountedLines, withNotes } from "./fit-lines.ts";

export const createListTool = (paths: PathInputs) =>
  defineTool({
    name: "list",
    description:
      "Lists the files and folders in a folder of the workspace, a path on each line. Folders end in a slash; files show " +
      "their size.",
    input: z.strictObject({
      path: paths.folder.default(""),
      recursive: z
        .boolean()
        .default(false)
        .describe("List all files at any depth instead, those that glob passes over last"),
    }),
    readOnly: true,
    retry: "safe",
    async run({ path, recursive }, { workspace, signal }) {
      const found = new CountedLines();
      const walk = recursive ? walkFiles(workspace, path, { ignored: "last", signal }) : null;
      if (walk !== null) for await (const file of walk) found.add(describe(file));
      else for (const entry of await workspace.entries(path)) found.add(describe(entry));
      const lines = found.shown(walk?.isCut ?? false, "List a folder further down, or use glob.");
      if (found.count === 0) lines.push(await nothingIn(workspace, path));
      return withNotes(lines, walk?.notes ?? []);
    },
  });

/** @throws ToolError where the path is that of a file */
async function nothingIn(workspace: Draft, path: string): Promise<string> {
  if (path === "") return "The workspace is empty.";
  if ((await workspace.stat(path)) !== null) throw new ToolError(`"${path}" is a file, not a folder.`);
  return `There are no files in "${path}".`;
}

function describe(entry: Entry | FileEntry): string {
  return "size" in entry ? `${entry.path} (${entry.size} bytes)` : entry.path;
}
