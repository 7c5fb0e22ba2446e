import type { Sql } from "../engine/ports.ts";

/** A message that was said to the running turn, and has not joined its transcript. */
export type Steer = { request: string; user_id: string };

// Rows stand here only while they wait, so that each of these looks at a few at most.

export function insertSteer(sql: Sql, { request, user_id }: Steer): void {
  sql.exec("INSERT INTO steers (request, user_id) VALUES (?, ?)", request, user_id);
}

export function countSteers(sql: Sql): number {
  return sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM steers")[0]?.count ?? 0;
}

/** Takes out the one that has waited longest. */
export function takeSteer(sql: Sql): Steer | null {
  const oldest = "DELETE FROM steers WHERE id = (SELECT MIN(id) FROM steers) RETURNING request, user_id";
  return sql.exec<Steer>(oldest)[0] ?? null;
}

/** Takes out all, in the order in which they came. */
export function takeSteers(sql: Sql): Steer[] {
  const steers = sql.exec<Steer>("SELECT request, user_id FROM steers ORDER BY id");
  if (steers.length > 0) sql.exec("DELETE FROM steers");
  return steers;
}
