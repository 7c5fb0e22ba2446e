import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT_ROOT } from "./gateway-process.ts";

/** A folder with what git tracks, as a fresh clone has it after `npm ci`, removed at disposal. */
export function copyProject() {
  const root = mkdtempSync(join(tmpdir(), "turnpike-clone-"));
  const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: PROJECT_ROOT, encoding: "utf8" });
  for (const path of tracked.split("\0")) if (path !== "") cpSync(join(PROJECT_ROOT, path), join(root, path));
  symlinkSync(join(PROJECT_ROOT, "node_modules"), join(root, "node_modules"));
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}
