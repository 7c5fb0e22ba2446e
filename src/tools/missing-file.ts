import { type Draft, ToolError } from "../engine/ports.ts";
import { walkFiles } from "../workspace/walk-files.ts";

const SUGGESTIONS = 3;
/** A path that is wrong is no reason to look through a large tree. */
const SUGGESTIONS_MAX_ENTRIES = 2_000;

/** The error for a path at which no file stands. It names files that may have been meant. */
export async function missingFile(workspace: Draft, path: string): Promise<ToolError> {
  if ((await workspace.entries(path)).length > 0) {
    return new ToolError(`"${path}" is a folder, not a file. The list tool shows what is in it.`);
  }
  const similar: string[] = [];
  for await (const other of walkFiles(workspace, "", { ignored: "skipped", maxEntries: SUGGESTIONS_MAX_ENTRIES })) {
    if (similar.length === SUGGESTIONS) break;
    if (stemOf(other.path) === stemOf(path)) similar.push(other.path);
  }
  const hint = similar.length === 0 ? "" : ` Similar: ${similar.map((other) => `"${other}"`).join(", ")}.`;
  return new ToolError(`There is no file "${path}".${hint}`);
}

/** A file's name without its folder, its ending and its case. */
function stemOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return name.replace(/(?<=.)\.[^.]*$/, "");
}
