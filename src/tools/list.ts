import { z } from "zod";
import { ToolError } from "../engine/ports.ts";
import { LIST_MAX_ENTRIES } from "../protocol/limits.ts";
import type { FileInfo } from "../protocol/rest.ts";
import { folderPathInput, folderPrefix } from "../workspace/paths.ts";
import { defineTool } from "./define-tool.ts";
import { fitLines } from "./fit-lines.ts";

export const listTool = defineTool({
  name: "list",
  description:
    "Lists the files and folders in a folder of the workspace, a path on each line. Folders end in a slash; files show " +
    "their size.",
  input: z.strictObject({
    path: folderPathInput.default(""),
    recursive: z.boolean().default(false).describe("List all files at any depth instead"),
  }),
  readOnly: true,
  retry: "safe",
  async run({ path, recursive }, { workspace }) {
    const files = await workspace.list(path);
    if (files.length === 0) {
      if (path === "") return "The workspace is empty.";
      if ((await workspace.stat(path)) !== null) throw new ToolError(`"${path}" is a file, not a folder.`);
      return `There are no files in "${path}".`;
    }
    const lines = recursive ? files.map(describe) : entriesOf(files, path);
    const shown = fitLines(lines, LIST_MAX_ENTRIES);
    if (shown.length < lines.length) {
      shown.push(`[${shown.length} of ${lines.length} shown. List a folder further down, or use glob.]`);
    }
    return shown.join("\n");
  },
});

/** What lies directly in the folder: files, and folders by what lies in them. Files come sorted, and so do these. */
function entriesOf(files: FileInfo[], folder: string): string[] {
  const start = folderPrefix(folder).length;
  const entries = files.map((file) => {
    const slash = file.path.indexOf("/", start);
    return slash === -1 ? describe(file) : file.path.slice(0, slash + 1);
  });
  return [...new Set(entries)];
}

function describe({ path, size }: FileInfo): string {
  return `${path} (${size} bytes)`;
}
