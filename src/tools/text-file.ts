import { type Draft, ToolError } from "../engine/ports.ts";
import { decodeText } from "../workspace/decode-text.ts";
import { missingFile } from "./missing-file.ts";

/** A file's text, exactly, a byte order mark included. @throws ToolError where there is no file, or no text in it */
export async function readTextFile(workspace: Draft, path: string): Promise<string> {
  const bytes = await workspace.read(path);
  if (bytes === null) throw await missingFile(workspace, path);
  const text = decodeText(bytes);
  if (text === null) throw new ToolError(`"${path}" is a binary file (${bytes.byteLength} bytes), not text.`);
  return text;
}
