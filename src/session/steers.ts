import type { Sql } from "../engine/ports.ts";

/** A message that was said to the turn while it ran, and has not joined its transcript. */
export type Steer = { id: number; turn_id: string; request: string; user_id: string };

// Rows stand here only while they wait, so that each of these looks at a few at most.

export function insertSteer(sql: Sql, { turn_id, request, user_id }: Omit<Steer, "id">): void {
  sql.exec("INSERT INTO steers (turn_id, request, user_id) VALUES (?, ?, ?)", turn_id, request, user_id);
}

export function countSteers(sql: Sql): number {
  return sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM steers")[0]?.count ?? 0;
}

/** Takes out the one that has waited longest. */
export function takeSteer(sql: Sql): Steer | null {
  const oldest = "DELETE FROM steers WHERE id = (SELECT MIN(id) FROM steers) RETURNING *";
  return sql.exec<Steer>(oldest)[0] ?? null;
}
