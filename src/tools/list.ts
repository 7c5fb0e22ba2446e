import { z } from "zod";
import { type FileEntry, ToolError } from "../engine/ports.ts";
import { LIST_MAX_ENTRIES } from "../protocol/limits.ts";
import type { PathInputs } from "../workspace/paths.ts";
import { walkFiles } from "../workspace/walk-files.ts";
import { defineTool } from "./define-tool.ts";
import { fitLines } from "./fit-lines.ts";

export const createListTool = (paths: PathInputs) =>
  defineTool({
    name: "list",
    description:
      "Lists the files and folders in a folder of the workspace, a path on each line. Folders end in a slash; files show " +
      "their size.",
    input: z.strictObject({
      path: paths.folder.default(""),
      recursive: z.boolean().default(false).describe("List all files at any depth instead"),
    }),
    readOnly: true,
    retry: "safe",
    async run({ path, recursive }, { workspace }) {
      const found = recursive
        ? await Array.fromAsync(walkFiles(workspace, path), describe)
        : (await workspace.entries(path)).map((entry) => (entry.kind === "file" ? describe(entry) : entry.path));
      if (found.length === 0) {
        if (path === "") return "The workspace is empty.";
        if ((await workspace.stat(path)) !== null) throw new ToolError(`"${path}" is a file, not a folder.`);
        return `There are no files in "${path}".`;
      }
      const shown = fitLines(found, LIST_MAX_ENTRIES);
      if (shown.length < found.length) {
        shown.push(`[${shown.length} of ${found.length} shown. List a folder further down, or use glob.]`);
      }
      return shown.join("\n");
    },
  });

function describe({ path, size }: FileEntry): string {
  return `${path} (${size} bytes)`;
}
