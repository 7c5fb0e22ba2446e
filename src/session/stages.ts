import type { Sql } from "../engine/ports.ts";

/** Stages of uploads that were begun before `time` (ms since the epoch) and neither committed nor dropped. */
export function stagesBefore(sql: Sql, time: number): string[] {
  const rows = sql.exec<{ stage_id: string }>("SELECT stage_id FROM stages WHERE created_at <= ?", time);
  return rows.map(({ stage_id }) => stage_id);
}

/** When the oldest open stage was begun, in ms since the epoch; null when there is none. */
export function oldestStageAt(sql: Sql): number | null {
  return sql.exec<{ at: number | null }>("SELECT MIN(created_at) AS at FROM stages")[0]?.at ?? null;
}

export function isStage(sql: Sql, stageId: string): boolean {
  return sql.exec("SELECT 1 FROM stages WHERE stage_id = ?", stageId).length > 0;
}

export function forgetStage(sql: Sql, stageId: string): void {
  sql.exec("DELETE FROM stages WHERE stage_id = ?", stageId);
}
