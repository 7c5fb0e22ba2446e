import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import * as z from "zod";
import type { CallWrangler } from "./call-wrangler.ts";
import { EXIT, Failure, reasonOf, usageFailure } from "./failure.ts";
import { WORKER } from "./local-gateway.ts";
import { migrateState } from "./migrate-state.ts";
import { parsedJson } from "./parsed-json.ts";
import { runningAddress } from "./running-address.ts";
import { type Sources, setting } from "./settings.ts";
import { renderStatement } from "./sql-literal.ts";
import { databaseFile, tryClaim, wasUsed } from "./state-folder.ts";
import { type TokenStore, tokensInDatabase, tokensOfGateway } from "./token-store.ts";

/**
 * The tokens of the gateway of `npm start` with this state: by the gateway if one runs, else by its database, which no
 * gateway can take until this process ends.
 *
 * @throws Failure
 */
export async function openLocalTokens(state: string, sources: Sources, root: string): Promise<TokenStore> {
  // A folder that is made for a name that was mistyped would look like a gateway without tokens.
  if (!wasUsed(state)) {
    throw usageFailure(
      `No gateway ever ran with its state in ${state}. Run \`npm start\` first, or name another by --state.`,
    );
  }
  const address = await claimOrAddress(state);
  if (address !== null) {
    const token = setting("GATEWAY_TOKEN", undefined, sources);
    if (token === undefined)
      throw usageFailure("A gateway runs on this state, so GATEWAY_TOKEN is needed to speak to it.");
    return tokensOfGateway(address, token);
  }
  await migrateState({ state, migrations: join(root, "migrations"), database: WORKER.d1Databases.CATALOG });
  const path = databaseFile(state);
  if (path === null) throw new Failure(EXIT.failed, `There is no database of a gateway in ${state}.`);
  return tokensInDatabase(async (statements) => {
    using database = new DatabaseSync(path);
    database.exec("BEGIN IMMEDIATE");
    try {
      const rows = statements.map((statement) => database.prepare(renderStatement(statement)).all());
      database.exec("COMMIT");
      return rows;
    } catch (thrown) {
      throw new Failure(EXIT.failed, `The database in ${state} cannot be changed: ${reasonOf(thrown)}`);
    }
  });
}

/** Null once this process has claimed the state; the address of the gateway that has it. @throws Failure */
async function claimOrAddress(state: string): Promise<string | null> {
  for (let tries = 0; tries < CLAIM_TRIES; tries++) {
    if (tryClaim(state)) return null;
    const address = runningAddress(state);
    if (address !== null) return address;
    // A gateway that starts, or another command like this one.
    await setTimeout(CLAIM_PAUSE_MS);
  }
  throw new Failure(EXIT.failed, `Another process is using the state in ${state}. Try again in a moment.`);
}

/** Ten seconds in all: a gateway starts within that, and says then where it is. */
const CLAIM_TRIES = 100;
const CLAIM_PAUSE_MS = 100;

const answered = z.array(z.object({ results: z.array(z.unknown()), success: z.literal(true) }));

/** The tokens of the deployed gateway, by its database. */
export function openRemoteTokens(wrangler: CallWrangler): TokenStore {
  return tokensInDatabase(async (statements) => {
    const sql = statements.map(renderStatement).join(";\n");
    const answer = await wrangler(["d1", "execute", "CATALOG", "--remote", "--json", "--command", sql]);
    const parsed = answer.ok ? parsedJson(answered, answer.stdout) : null;
    if (parsed === null) {
      const said = answer.said === "" ? "wrangler ended without a word" : answer.said;
      throw new Failure(
        EXIT.failed,
        `The deployed database could not be asked. It takes \`npx wrangler login\`, or CLOUDFLARE_API_TOKEN. Wrangler said:\n\n${said}`,
      );
    }
    return parsed.map(({ results }) => results);
  });
}
