import * as z from "zod";
import { createGlobMatcher, globInput } from "../workspace/glob-pattern.ts";
import { folderPrefix, type PathInputs } from "../workspace/paths.ts";
import { walkFiles } from "../workspace/walk-files.ts";
import { defineTool } from "./define-tool.ts";
import { CountedLines, withNotes } from "./fit-lines.ts";

export const createGlobTool = (paths: PathInputs) =>
  defineTool({
    name: "glob",
    description:
      "Finds files of the workspace by the pattern of their path, one path on each line. * stands for anything within a " +
      "name, ** for any folders, {a,b} for either. A pattern without a slash, such as *.md, is looked for at any depth. " +
      "Passes over .git, node_modules and what .gitignore files name, unless path is or lies in such a folder.",
    input: z.strictObject({
      pattern: globInput.describe("A glob, relative to the folder, such as src/**/*.ts"),
      path: paths.folder.default(""),
    }),
    readOnly: true,
    retry: "safe",
    async run({ pattern, path }, { workspace, signal }) {
      const walk = walkFiles(workspace, path, { ignored: "skipped", signal });
      const matches = createGlobMatcher(pattern, walk.meter);
      const start = folderPrefix(path).length;
      const found = new CountedLines();
      for await (const file of walk) if (matches(file.path.slice(start))) found.add(file.path);
      const lines =
        found.count === 0 ? [`No file matches "${pattern}".`] : found.shown(walk.isCut, "Narrow the pattern.");
      return withNotes(lines, walk.notes);
    },
  });
