/**
 * The guard: every path from outside goes through it before anything else sees it. It never decodes, so `%2e%2e` is a
 * file's name here; HTTP decodes its path once and hands it in.
 */
import * as z from "zod";
import { bytesOf } from "../protocol/bytes-of.ts";
import { GatewayError } from "../protocol/errors.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { PATH_MAX_BYTES } from "../protocol/limits.ts";

/** Where a workspace that is no directory seems to stand, for whoever names files by absolute paths. */
export const WORKSPACE_ROOT = "/workspace";

/**
 * A file's path, relative to the workspace: NFC, segments joined by single slashes, no `.` and no `..`.
 *
 * @throws GatewayError `path_refused`, which names the path and the rule
 */
export function workspacePath(input: string, root = WORKSPACE_ROOT): string {
  if (input === "") throw refusal(input, "it is empty");
  const path = resolveInside(input, root);
  if (path === "" || /(?:^|\/)\.{0,2}$/.test(input)) throw refusal(input, "it names a folder, not a file");
  return path;
}

/**
 * A folder's path, relative to the workspace and without a slash at its end; `""` is the workspace itself.
 *
 * @throws GatewayError `path_refused`
 */
export function workspaceFolder(input: string, root = WORKSPACE_ROOT): string {
  return resolveInside(input, root);
}

/** What the paths of all files in a folder begin with, at any depth. */
export function folderPrefix(folder: string): string {
  return folder === "" ? "" : `${folder}/`;
}

/** The folders that a path lies in, from the outermost. */
export function* foldersOf(path: string): Generator<string, void> {
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) yield path.slice(0, slash);
}

function resolveInside(input: string, root: string): string {
  // First of all, so that every rule looks at the characters that will be stored.
  const path = input.normalize("NFC");
  if (!path.isWellFormed()) throw refusal(input, "it is not well-formed Unicode");
  if (/\p{Cc}/u.test(path)) throw refusal(input, "it contains NUL or another control character");
  if (path.includes("\\")) throw refusal(input, "it contains a backslash");
  if (path.startsWith("~")) throw refusal(input, 'it starts with "~"');

  const segments = path.startsWith("/") ? belowRoot(path, root) : segmentsOf(path);
  if (segments === null) throw refusal(input, `it is absolute and not under ${root}`);
  if (bytesOf(segments.join("/")) > PATH_MAX_BYTES) {
    throw refusal(input, `it has more than ${PATH_MAX_BYTES} bytes`);
  }
  const inside: string[] = [];
  for (const segment of segments) {
    if (segment !== "..") inside.push(segment);
    else if (inside.pop() === undefined) throw refusal(input, 'it leaves the workspace by ".."');
  }
  // `./~` would else turn into a path that the guard itself refuses.
  if (inside[0]?.startsWith("~")) throw refusal(input, 'it starts with "~"');
  return inside.join("/");
}

function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}

/** The segments after those of the root, which must come first as they are: `/x/../workspace` is not under it. */
function belowRoot(path: string, root: string): string[] | null {
  const segments = segmentsOf(path);
  const rootSegments = segmentsOf(root.normalize("NFC"));
  return rootSegments.every((segment, i) => segments[i] === segment) ? segments.slice(rootSegments.length) : null;
}

const SHOWN_CHARS = 200;

function refusal(input: string, rule: string): GatewayError {
  const shown = input.length > SHOWN_CHARS ? `${firstChars(input, SHOWN_CHARS)}…` : input;
  return new GatewayError("path_refused", `The path ${quote(shown)} is refused: ${rule}.`);
}

/** In quotes, with everything escaped that is not seen or that changes how what follows is seen. */
function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A string of a tool's input that has passed the guard when the tool sees it. */
const guarded = (guard: (input: string) => string, description: string) =>
  z
    .string()
    .describe(description)
    .transform((input, context) => {
      try {
        return guard(input);
      } catch (thrown) {
        if (!(thrown instanceof GatewayError)) throw thrown;
        context.addIssue({ code: "custom", message: `${thrown.code}: ${thrown.message}` });
        return z.NEVER;
      }
    });

/** The paths in the inputs of tools, as types: no tool sees one that has not passed the guard. */
export type PathInputs = { file: z.ZodType<string, string>; folder: z.ZodType<string, string> };

/** Absolute paths are taken under `root` alone. */
export function createPathInputs(root: string): PathInputs {
  return {
    file: guarded(
      (input) => workspacePath(input, root),
      "The file's path, relative to the workspace, such as work_products/report.md",
    ),
    folder: guarded(
      (input) => workspaceFolder(input, root),
      "A folder's path, relative to the workspace; by default the whole workspace",
    ),
  };
}
