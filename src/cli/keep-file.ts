import { renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../local/home.ts";

/** Writes a file whole or not at all, for its owner alone. Returns whether it could; never throws. */
export function keepFile(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}`;
  try {
    makeFolder(dirname(path));
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, path);
    return true;
  } catch {
    removeFile(draft);
    return false;
  }
}

/** Removes a file that may be there. Never throws. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What cannot be removed stays.
  }
}
