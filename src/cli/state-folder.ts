import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { hasSqliteCode, SQLITE } from "../local/error-codes.ts";
import { makeFolder } from "../local/home.ts";
import { EXIT, Failure, reasonOf, usageFailure } from "./failure.ts";

/** Where wrangler keeps everything local, below the state folder. */
export const STORED_BELOW = "v3";

/** Where it keeps the local D1 databases. */
const D1_FOLDER = `${STORED_BELOW}/d1/miniflare-D1DatabaseObject`;

/**
 * Makes the state folder and claims it for this process. Two gateways on one state would each run every session, and
 * a session must run once. SQLite's lock is the operating system's, so it ends with the process, however that ends.
 */
export function claimState(state: string): void {
  if (!tryClaim(state)) throw new Failure(EXIT.failed, `Another gateway is using the state in ${state}.`);
}

/** The same, but returns false where another process has it. */
export function tryClaim(state: string): boolean {
  try {
    makeFolder(state);
    const claim = new DatabaseSync(join(state, "claim.sqlite"), { timeout: 0 });
    claim.exec("BEGIN EXCLUSIVE");
    // What one that was killed has left is the address of nobody, or of another program.
    rmSync(addressFile(state), { force: true });
    // Closing the database would end the claim, and so would its collection as garbage.
    process.once("exit", () => claim.close());
    return true;
  } catch (thrown) {
    if (hasSqliteCode(thrown, SQLITE.busy)) return false;
    throw usageFailure(`The state folder ${state} cannot be used: ${reasonOf(thrown)}`);
  }
}

/**
 * Whether every migration is recorded in the state's one D1 database, so that wrangler need not be asked, which takes
 * longer than the whole start. Any doubt is a no.
 */
export function isMigrated(state: string, migrations: string): boolean {
  try {
    const path = databaseFile(state);
    if (path === null) return false;
    using database = new DatabaseSync(path, { readOnly: true });
    const applied = new Set(
      database
        .prepare("SELECT name FROM d1_migrations")
        .all()
        .map((row) => row["name"]),
    );
    return readdirSync(migrations).every((file) => !file.endsWith(".sql") || applied.has(file));
  } catch {
    return false;
  }
}

/** The file of the state's one D1 database; null where there is none, or more than one. */
export function databaseFile(state: string): string | null {
  try {
    const folder = join(state, D1_FOLDER);
    const databases = readdirSync(folder).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
    const [name, ...others] = databases;
    return name === undefined || others.length > 0 ? null : join(folder, name);
  } catch {
    return null;
  }
}

/** Whether a gateway has ever begun to keep something there, also one of wrangler's. */
export function wasUsed(state: string): boolean {
  return existsSync(join(state, STORED_BELOW));
}

/** Where the gateway that runs on a state says where it can be reached. */
export function addressFile(state: string): string {
  return join(state, "address");
}
