import { GatewayError } from "../protocol/errors.ts";
import { folderPrefix, workspaceFolder } from "../workspace/paths.ts";
import { isTemporary } from "./follow-path.ts";

/**
 * The paths that name what lies in a folder, each with the name that the disk has for it. Left out are names that the
 * guard refuses, and the gateway's own temporary files. Of names that differ in their normal form alone, the one that is
 * in NFC is meant, or else the first: as when a path is looked up.
 */
export function namesByPath(folder: string, names: string[]): Map<string, string> {
  const byPath = new Map<string, string>();
  for (const name of names.sort()) {
    const path = `${folderPrefix(folder)}${name.normalize("NFC")}`;
    const isFirst = !byPath.has(path);
    if (!isFirst && name !== name.normalize("NFC")) continue;
    if (!isTemporary(name) && canBeNamed(path)) byPath.set(path, name);
  }
  return byPath;
}

function canBeNamed(path: string): boolean {
  try {
    return workspaceFolder(path) === path;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return false;
    throw thrown;
  }
}
