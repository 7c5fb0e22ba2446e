import type { Sql } from "../engine/ports.ts";

/** An upload may be committed for this long. */
export const STAGE_TTL_MS = 3_600_000;
/**
 * A stage's blobs are removed this long after it was begun. The hour in between is for what storage was asked to write
 * and did not answer in time: it may land late.
 */
export const STAGE_SWEEP_MS = 2 * STAGE_TTL_MS;
/** A sweep that failed, or was killed, is due again after this time. */
export const STAGE_RETRY_MS = 600_000;

// A stage ages in one direction: once it may not be committed it never may again, so that its blobs can be removed
// while requests go on. The row stays until they are known to be gone, and only its age is moved.

/** Stores a stage before anything is uploaded under it, or for clean-up to look at. */
export function openStage(sql: Sql, stageId: string, now: number): void {
  sql.exec("INSERT INTO stages (stage_id, created_at) VALUES (?, ?)", stageId, now);
}

/** Ends an open stage for its commit; false for one that is not open at `now` (ms since the epoch). */
export function takeStage(sql: Sql, stageId: string, now: number): boolean {
  const taken = "DELETE FROM stages WHERE stage_id = ? AND created_at > ? RETURNING stage_id";
  return sql.exec(taken, stageId, now - STAGE_TTL_MS).length > 0;
}

/** From here on the stage cannot be committed; false for one that was committed, or is gone. */
export function giveUpStage(sql: Sql, stageId: string, now: number): boolean {
  const givenUp = "UPDATE stages SET created_at = MIN(created_at, ?) WHERE stage_id = ? RETURNING stage_id";
  return sql.exec(givenUp, now - STAGE_TTL_MS, stageId).length > 0;
}

/** The stages whose blobs are to be removed now. They are due again later, unless they are forgotten. */
export function takeDueStages(sql: Sql, now: number): string[] {
  const rows = sql.exec<{ stage_id: string }>(
    "UPDATE stages SET created_at = ? WHERE created_at <= ? RETURNING stage_id",
    now - STAGE_SWEEP_MS + STAGE_RETRY_MS,
    now - STAGE_SWEEP_MS,
  );
  return rows.map(({ stage_id }) => stage_id);
}

/** When blobs of a stage are to be removed next, in ms since the epoch; null when there is no stage. */
export function nextSweepAt(sql: Sql): number | null {
  const oldest = sql.exec<{ at: number | null }>("SELECT MIN(created_at) AS at FROM stages")[0]?.at ?? null;
  return oldest === null ? null : oldest + STAGE_SWEEP_MS;
}

export function forgetStage(sql: Sql, stageId: string): void {
  sql.exec("DELETE FROM stages WHERE stage_id = ?", stageId);
}

/** For a host whose staged bytes are all swept at once. */
export function forgetStages(sql: Sql): void {
  sql.exec("DELETE FROM stages");
}
