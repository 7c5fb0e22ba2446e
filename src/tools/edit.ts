import * as z from "zod";
import { ToolError } from "../engine/ports.ts";
import { firstChars } from "../protocol/first-chars.ts";
import type { PathInputs } from "../workspace/paths.ts";
import { defineTool } from "./define-tool.ts";
import { describeChange } from "./describe-change.ts";
import { readTextFile } from "./text-file.ts";

/** Places of an ambiguous text that an error names. */
const PLACES_SHOWN = 5;
const EXCERPT_MAX_CHARS = 500;
/** A longer text is not looked for with other white space. */
const SIMILAR_MAX_CHARS = 10_000;

export const createEditTool = (paths: PathInputs) =>
  defineTool({
    name: "edit",
    description:
      "Replaces an exact text in a text file of the workspace. old_string must match character by character, white space " +
      "and line breaks included, and must stand in exactly one place unless replace_all is true. Read the file first.",
    input: z.strictObject({
      path: paths.file,
      old_string: z.string().min(1).describe("The text to replace, with enough around it to be unique"),
      new_string: z.string().describe("What to put in its place"),
      replace_all: z.boolean().default(false).describe("Replace every occurrence"),
    }),
    permission: "write",
    readOnly: false,
    retry: "safe",
    async run({ path, old_string, new_string, replace_all }, { workspace }) {
      if (old_string === new_string)
        throw new ToolError("old_string and new_string are the same; nothing would change.");
      const before = await readTextFile(workspace, path);
      const places = placesOf(before, old_string);
      if (places.length === 0) throw new ToolError(notFound(path, before, old_string));
      if (places.length > 1 && !replace_all) throw new ToolError(ambiguous(path, before, places));

      // The replacement comes from a function, since `$` in a string would be a sign of its own.
      const after = replace_all
        ? before.replaceAll(old_string, () => new_string)
        : before.replace(old_string, () => new_string);
      const change = describeChange(before, after);
      workspace.write(path, new TextEncoder().encode(after));
      return `Edited ${path}.${change}`;
    },
  });

/** The first places at which `part` stands, overlapping ones too, one more than an error names. */
function placesOf(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at !== -1 && places.length <= PLACES_SHOWN; at = text.indexOf(part, at + 1)) {
    places.push(at);
  }
  return places;
}

function ambiguous(path: string, text: string, places: number[]): string {
  const lines = places.slice(0, PLACES_SHOWN).map((at) => lineAt(text, at));
  const more = places.length > PLACES_SHOWN ? " and more" : "";
  return (
    `old_string stands in "${path}" more than once (lines ${lines.join(", ")}${more}). ` +
    "Add text around it until it is unique, or set replace_all."
  );
}

function notFound(path: string, text: string, part: string): string {
  const message = `old_string is not in "${path}".`;
  const words = part.length > SIMILAR_MAX_CHARS ? [] : part.split(/\s+/).filter((word) => word !== "");
  const escaped = words.map((word) => RegExp.escape(word));
  const similar = words.length === 0 ? null : new RegExp(escaped.join("\\s+"), "u").exec(text);
  if (similar === null) return `${message} Read the file again and copy the text exactly.`;
  return (
    `${message} Line ${lineAt(text, similar.index)} has it with other white space:\n` +
    JSON.stringify(firstChars(similar[0], EXCERPT_MAX_CHARS))
  );
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
