import * as z from "zod";
import { type Draft, ToolError } from "../engine/ports.ts";
import { foldersOf, type PathInputs } from "../workspace/paths.ts";
import { defineTool } from "./define-tool.ts";

export const createWriteTool = (paths: PathInputs) =>
  defineTool({
    name: "write",
    description:
      "Writes a text file of the workspace, exactly as given; missing folders come by themselves. Put what you make for " +
      "people (reports, documents, data, images) under work_products/, where they will find it. To change a part of a file, use edit.",
    input: z.strictObject({
      path: paths.file,
      content: z.string().describe("The text; nothing is added to it"),
      mode: z
        .enum(["overwrite", "create", "append"])
        .default("overwrite")
        .describe("overwrite replaces a file that is there, create fails then, append adds to its end"),
    }),
    readOnly: false,
    retry: "safe",
    async run({ path, content, mode }, { workspace }) {
      const bytes = new TextEncoder().encode(content);
      const before = await workspace.stat(path);
      if (before === null) {
        await refuseBlocked(workspace, path);
        workspace.write(path, bytes);
        return `Created ${path} (${bytes.byteLength} bytes).`;
      }
      if (mode === "create") {
        throw new ToolError(`"${path}" is there already (${before.size} bytes). Use mode overwrite, or the edit tool.`);
      }
      if (mode === "overwrite") {
        workspace.write(path, bytes);
        return `Overwrote ${path} (${bytes.byteLength} bytes, before ${before.size}).`;
      }
      const old = (await workspace.read(path)) ?? new Uint8Array();
      const all = new Uint8Array(old.byteLength + bytes.byteLength);
      all.set(old);
      all.set(bytes, old.byteLength);
      workspace.write(path, all);
      return `Appended ${bytes.byteLength} bytes to ${path} (now ${all.byteLength}).`;
    },
  });

/** A path cannot be a file and a folder at once. The commit would refuse it too; here it can be said why. */
async function refuseBlocked(workspace: Draft, path: string): Promise<void> {
  for (const folder of foldersOf(path)) {
    if ((await workspace.stat(folder)) !== null) {
      throw new ToolError(`"${folder}" is a file, so there can be no "${path}".`);
    }
  }
  if ((await workspace.entries(path)).length > 0) throw new ToolError(`"${path}" is a folder.`);
}
