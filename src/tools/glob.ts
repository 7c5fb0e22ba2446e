import { z } from "zod";
import { LIST_MAX_ENTRIES } from "../protocol/limits.ts";
import { createGlobMatcher, globInput } from "../workspace/glob-pattern.ts";
import { folderPrefix, type PathInputs } from "../workspace/paths.ts";
import { walkFiles } from "../workspace/walk-files.ts";
import { defineTool } from "./define-tool.ts";
import { fitLines } from "./fit-lines.ts";

export const createGlobTool = (paths: PathInputs) =>
  defineTool({
    name: "glob",
    description:
      "Finds files of the workspace by the pattern of their path, one path on each line. * stands for anything within a " +
      "name, ** for any folders, {a,b} for either. A pattern without a slash, such as *.md, is looked for at any depth.",
    input: z.strictObject({
      pattern: globInput.describe("A glob, relative to the folder, such as src/**/*.ts"),
      path: paths.folder.default(""),
    }),
    readOnly: true,
    retry: "safe",
    async run({ pattern, path }, { workspace }) {
      const matches = createGlobMatcher(pattern);
      const start = folderPrefix(path).length;
      const found: string[] = [];
      for await (const file of walkFiles(workspace, path)) {
        if (matches(file.path.slice(start))) found.push(file.path);
      }
      if (found.length === 0) return `No file matches "${pattern}".`;
      const shown = fitLines(found, LIST_MAX_ENTRIES);
      if (shown.length < found.length) shown.push(`[${shown.length} of ${found.length} shown. Narrow the pattern.]`);
      return shown.join("\n");
    },
  });
