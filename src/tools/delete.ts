import * as z from "zod";
import type { PathInputs } from "../workspace/paths.ts";
import { defineTool } from "./define-tool.ts";
import { missingFile } from "./missing-file.ts";

export const createDeleteTool = (paths: PathInputs) =>
  defineTool({
    name: "delete",
    description: "Deletes one file of the workspace. A folder goes with its last file.",
    input: z.strictObject({ path: paths.file }),
    permission: "write",
    readOnly: false,
    retry: "safe",
    async run({ path }, { workspace }) {
      if ((await workspace.stat(path)) === null) throw await missingFile(workspace, path);
      workspace.remove(path);
      return `Deleted ${path}.`;
    },
  });
