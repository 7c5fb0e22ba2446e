import { existsSync } from "node:fs";
import { notFound } from "../protocol/errors.ts";
import { hasTables } from "../session/schema.ts";
import { deletingSince, readSettings, type Settings } from "../session/settings.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";
import { type Keeper, leaveIndex, removeAside, removeTraces, removeUnmade } from "./remove-traces.ts";
import { SessionClaim, sessionHeld } from "./session-claim.ts";

/** What makes a session this process's. */
export type Held = { claim: SessionClaim; database: NodeSql };

/**
 * Takes a session that is stored. One whose making or deletion was killed has its remains removed, and is not found.
 *
 * @throws GatewayError `session_busy` where another process has it, `not_found`
 */
export async function holdStored(keeper: Keeper, sessionId: string): Promise<Held & { settings: Settings }> {
  const { home, index } = keeper;
  if (!existsSync(home.stateOf(sessionId))) {
    removeAside(home, sessionId);
    throw notFound();
  }
  const claim = takeClaim(keeper, sessionId);
  let database: NodeSql | null = null;
  try {
    if (existsSync(home.databaseOf(sessionId))) database = openNodeSql(home.databaseOf(sessionId));
    const settings = database !== null && hasTables(database.sql) ? readSettings(database.sql) : null;
    if (database === null || settings === null) {
      database?.close();
      // One that was killed while it was made is not listed yet.
      if (index.get(sessionId) === null) removeUnmade(home, claim, sessionId);
      throw notFound();
    }
    if (deletingSince(database.sql) === null) return { claim, database, settings };
    leaveIndex(index, database.sql, settings);
    database.close();
    await removeTraces(keeper, claim, settings);
    throw notFound();
  } catch (thrown) {
    database?.close();
    claim.release();
    throw thrown;
  }
}

/** @throws GatewayError `session_busy` where another process has it, `not_found` where its state is gone */
export function takeClaim({ home, holder }: Keeper, sessionId: string): SessionClaim {
  const claim = SessionClaim.take(home.stateOf(sessionId), holder);
  if (claim instanceof SessionClaim) return claim;
  throw sessionHeld(sessionId, claim);
}

/** From here on another process can take it. Idempotent. */
export function giveBack({ claim, database }: Held): void {
  try {
    database.close();
  } finally {
    claim.release();
  }
}
