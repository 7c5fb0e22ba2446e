import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Where this machine's own sessions are kept: `TURNPIKE_HOME`, or `~/.turnpike`. */
export function homeFolder(setting: string | undefined): string {
  return resolve(setting ?? join(homedir(), ".turnpike"));
}
