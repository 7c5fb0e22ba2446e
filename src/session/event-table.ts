import type { Sql } from "../engine/ports.ts";
import type { EventType } from "../protocol/events.ts";

/** A row of the table `events`, with what its data weighs. */
export type EventRow = {
  seq: number;
  type: EventType;
  turn_id: string | null;
  /** In ms since the epoch. */
  at: number;
  /** As JSON; null for a block whose step is not committed. */
  data: string | null;
  /** Of the data, in UTF-8. */
  bytes: number | null;
};

/**
 * Rows that are read at a time, so that a long log is never in memory whole: few at first, since many replays are left
 * after a few events. Large ones are read one by one.
 */
const FIRST_CHUNK_ROWS = 32;
const CHUNK_ROWS = 512;
const SMALL_ROW_BYTES = 16_384;

/** The seq of the last event; 0 when there is none. */
export function lastEventSeq(sql: Sql): number {
  return sql.exec<{ last: number }>("SELECT COALESCE(MAX(seq), 0) AS last FROM events")[0]?.last ?? 0;
}

/** When an event was appended, in ms since the epoch; null where there is none. */
export function eventAt(sql: Sql, seq: number): number | null {
  return sql.exec<{ at: number }>("SELECT at FROM events WHERE seq = ?", seq)[0]?.at ?? null;
}

export function insertEvent(sql: Sql, { seq, type, turn_id, at, data }: Omit<EventRow, "bytes">): void {
  sql.exec("INSERT INTO events (seq, type, turn_id, at, data) VALUES (?, ?, ?, ?, ?)", seq, type, turn_id, at, data);
}

/** Commits a block: its data is known from now on. */
export function setEventData(sql: Sql, seq: number, data: string): void {
  sql.exec("UPDATE events SET data = ? WHERE seq = ?", data, seq);
}

/** The blocks from a seq on whose steps are not committed. */
export function uncommittedEvents(sql: Sql, since: number): Pick<EventRow, "seq" | "type">[] {
  return sql.exec<Pick<EventRow, "seq" | "type">>(
    "SELECT seq, type FROM events WHERE seq >= ? AND data IS NULL ORDER BY seq",
    since,
  );
}

export function readEvent(sql: Sql, seq: number): EventRow | undefined {
  const query = "SELECT seq, type, turn_id, at, data, octet_length(data) AS bytes FROM events WHERE seq = ?";
  return sql.exec<EventRow>(query, seq)[0];
}

/**
 * A range of the log in order, both ends included; `type` null: of all types.
 *
 * @param most no more rows are asked for; null: whoever reads may stop at any one
 */
export function* readEvents(
  sql: Sql,
  { from, to, type }: { from: number; to: number; type: EventType | null },
  most: number | null,
): Generator<EventRow> {
  // Unlike `length`, `octet_length` does not read what it measures.
  const query =
    "SELECT seq, type, turn_id, at, CASE WHEN octet_length(data) <= ?1 THEN data END AS data, " +
    "octet_length(data) AS bytes " +
    "FROM events WHERE seq BETWEEN ?2 AND ?3 AND (?4 IS NULL OR type = ?4) ORDER BY seq LIMIT ?5";
  let left = most ?? Number.POSITIVE_INFINITY;
  let size = Math.min(most ?? FIRST_CHUNK_ROWS, CHUNK_ROWS);
  for (let next = from; next <= to && left > 0; size = Math.min(size * 2, CHUNK_ROWS, left)) {
    const chunk = [SMALL_ROW_BYTES, next, to, type, size];
    const rows = sql.exec<EventRow>(query, ...chunk);
    for (const row of rows) yield ((row.bytes ?? 0) > SMALL_ROW_BYTES ? readEvent(sql, row.seq) : null) ?? row;
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    next = last.seq + 1;
    left -= rows.length;
  }
}
