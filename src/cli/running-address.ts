import { readFileSync } from "node:fs";
import { hasCode } from "../local/error-codes.ts";
import { isLoopback } from "./choose-gateway.ts";
import { keepFile } from "./keep-file.ts";
import { addressFile } from "./state-folder.ts";

/** Says where the gateway of this process, which has claimed the state, can be reached. */
export function tellAddress(state: string, url: string): void {
  keepFile(addressFile(state), `${url}\n${process.pid}\n`);
}

/**
 * Where the gateway that runs on a state can be reached; null where none says so. What a process left that has ended
 * counts for nothing: another program may listen there by now, and is not to be sent a token.
 */
export function runningAddress(state: string): string | null {
  const [url = "", pid = ""] = readIfThere(addressFile(state)).split("\n");
  if (!URL.canParse(url) || !isLoopback(new URL(url).hostname)) return null;
  return /^[1-9]\d{0,9}$/.test(pid) && isRunning(Number(pid)) ? url : null;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return hasCode(thrown, "EPERM");
  }
}
