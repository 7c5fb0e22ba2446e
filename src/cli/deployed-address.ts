import { readFileSync } from "node:fs";
import { join } from "node:path";
import { keepFile } from "./keep-file.ts";

/** Beside what wrangler keeps of this clone, out of git's sight. */
const KEPT_IN = ".wrangler/turnpike-address";

/** Keeps the address of the gateway that was deployed from this clone. Returns whether it could; never throws. */
export function keepDeployedAddress(root: string, url: string): boolean {
  return keepFile(join(root, KEPT_IN), `${url}\n`);
}

/** The address that the last deployment kept; null where none did. */
export function deployedAddress(root: string): string | null {
  try {
    return readFileSync(join(root, KEPT_IN), "utf8").trim() || null;
  } catch {
    return null;
  }
}
