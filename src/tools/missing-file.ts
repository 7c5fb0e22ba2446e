import { type Draft, ToolError } from "../engine/ports.ts";
import { folderPrefix } from "../workspace/paths.ts";

const SUGGESTIONS = 3;

/** The error for a path at which no file stands. It names files that may have been meant. */
export async function missingFile(workspace: Draft, path: string): Promise<ToolError> {
  const paths = (await workspace.list("")).map((file) => file.path);
  if (paths.some((other) => other.startsWith(folderPrefix(path)))) {
    return new ToolError(`"${path}" is a folder, not a file. The list tool shows what is in it.`);
  }
  const similar = paths.filter((other) => stemOf(other) === stemOf(path)).slice(0, SUGGESTIONS);
  const hint = similar.length === 0 ? "" : ` Similar: ${similar.map((other) => `"${other}"`).join(", ")}.`;
  return new ToolError(`There is no file "${path}".${hint}`);
}

/** A file's name without its folder, its ending and its case. */
function stemOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return name.replace(/(?<=.)\.[^.]*$/, "");
}
