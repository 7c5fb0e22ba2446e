import * as z from "zod";
import { ToolError } from "../engine/ports.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { READ_DEFAULT_LINES, TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import type { PathInputs } from "../workspace/paths.ts";
import { defineTool } from "./define-tool.ts";
import { CONTENT_MAX_CHARS, fitLines } from "./fit-lines.ts";
import { readTextFile } from "./text-file.ts";

/** A file has no more lines than bytes. */
const lineNumber = z.int().min(1).max(TOOL_FILE_MAX_BYTES);

export const createReadTool = (paths: PathInputs) =>
  defineTool({
    name: "read",
    description:
      "Reads a text file of the workspace, exactly as it is. Of a long file it gives a window of lines and says how to " +
      "go on. Binary files are refused.",
    input: z.strictObject({
      path: paths.file,
      offset: lineNumber.default(1).describe("The first line to read, counted from 1"),
      limit: lineNumber.default(READ_DEFAULT_LINES).describe("How many lines to read at most"),
    }),
    readOnly: true,
    retry: "safe",
    async run({ path, offset, limit }, { workspace }) {
      const text = await readTextFile(workspace, path);
      if (text === "") return "[The file is empty.]";

      const lines = text.split(/(?<=\n)/);
      const wanted = lines.slice(offset - 1);
      const [first] = wanted;
      if (first === undefined) {
        throw new ToolError(`"${path}" has ${lines.length} lines; line ${offset} is beyond its end.`);
      }
      const shown = fitLines(wanted, limit);
      if (shown.length === lines.length) return text;
      const last = offset + Math.max(shown.length, 1) - 1;
      const next = last < lines.length ? ` Go on with offset ${last + 1}.` : "";
      if (shown.length === 0) {
        const start = firstChars(first, CONTENT_MAX_CHARS);
        return withNote(
          start,
          `Line ${offset} of ${lines.length} has ${first.length} characters and is cut here.${next}`,
        );
      }
      return withNote(shown.join(""), `Lines ${offset} to ${last} of ${lines.length}.${next}`);
    },
  });

function withNote(content: string, note: string): string {
  return `${content}${content.endsWith("\n") ? "" : "\n"}[${note}]`;
}
