import type { Sql, SqlRow, SqlValue } from "../engine/ports.ts";
import { NO_USAGE, type Usage, usage } from "../protocol/events.ts";
import { PAGE_MAX } from "../protocol/limits.ts";
import { type SubmitTurnBody, submitTurnBody, type TurnStatus } from "../protocol/rest.ts";

/** One row of `turns`; STORAGE.md says what each column means. */
export type TurnRow = {
  turn_id: string;
  position: number;
  status: TurnStatus;
  /** 1: it had to wait for another turn. */
  waited: number;
  /** The request as canonical JSON: a repeat with the same Idempotency-Key must be equal to it. */
  request: string;
  user_id: string;
  /** The position before the turn's first event. */
  cursor: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  first_seq: number | null;
  last_seq: number | null;
  /** As they were when the turn started: a change counts from the next turn. */
  model: string | null;
  fast_model: string | null;
  system: string | null;
  path: "fast" | "complex" | null;
  model_calls: number;
  tool_calls: number;
  attempt: number;
  retry_at: number | null;
  raised_max_tokens: number;
  make_room: number;
  starts: number;
  /** 1: it is to stop. Set by others than its loop. */
  cancelled: number;
  omitted: number;
  usage: string | null;
  /** What was used of each model, as JSON; see `spending.ts`. */
  spent: string | null;
  /** Since when it waits for someone; null while it does not. */
  paused_at: number | null;
  /** How long it has waited for someone before that. */
  paused_ms: number | null;
};

/** What a new turn is; the other columns have their defaults. */
export type NewTurn = Pick<
  TurnRow,
  "turn_id" | "position" | "status" | "waited" | "request" | "user_id" | "cursor" | "created_at"
>;

/** What is kept in memory of a turn that has not ended: a message can be large, and many can wait. */
export type OpenTurn = Pick<TurnRow, "turn_id" | "position" | "status">;

const OPEN = "status IN ('queued', 'running', 'waiting')";

/** Turns that have not ended, in the order in which they run. Reads the whole table: for the start of an object. */
export function openTurns(sql: Sql): OpenTurn[] {
  return sql.exec<OpenTurn>(`SELECT turn_id, position, status FROM turns WHERE ${OPEN} ORDER BY position`);
}

export function findTurn(sql: Sql, turnId: string): TurnRow | undefined {
  return sql.exec<TurnRow & SqlRow>("SELECT * FROM turns WHERE turn_id = ?", turnId)[0];
}

/** Others than its loop store this of a running turn. */
export function isCancelled(sql: Sql, turnId: string): boolean {
  const [row] = sql.exec<{ cancelled: number }>("SELECT cancelled FROM turns WHERE turn_id = ?", turnId);
  return row?.cancelled === 1;
}

/** Stored before anything is stopped, so that it holds whatever happens next. */
export function markCancelled(sql: Sql, turnId: string): void {
  updateTurn(sql, turnId, { cancelled: 1 });
}

/** Newest first, from below `before` (null: from the newest) on, one row at a time, since one can be large. */
export function* turnsBefore(sql: Sql, before: string | null): Generator<TurnRow> {
  const ids =
    before === null
      ? sql.exec<{ turn_id: string }>("SELECT turn_id FROM turns ORDER BY turn_id DESC LIMIT ?", PAGE_MAX + 1)
      : sql.exec<{ turn_id: string }>(
          "SELECT turn_id FROM turns WHERE turn_id < ? ORDER BY turn_id DESC LIMIT ?",
          before,
          PAGE_MAX + 1,
        );
  for (const { turn_id } of ids) {
    const row = findTurn(sql, turn_id);
    if (row !== undefined) yield row;
  }
}

export function insertTurn(sql: Sql, turn: NewTurn & Partial<TurnRow>): void {
  const columns = Object.keys(turn);
  const marks = columns.map(() => "?").join(", ");
  sql.exec(`INSERT INTO turns (${columns.join(", ")}) VALUES (${marks})`, ...Object.values<SqlValue>(turn));
}

export function updateTurn(sql: Sql, turnId: string, change: Partial<TurnRow>): void {
  const columns = Object.keys(change);
  if (columns.length === 0) return;
  const assignments = columns.map((column) => `${column} = ?`).join(", ");
  sql.exec(`UPDATE turns SET ${assignments} WHERE turn_id = ?`, ...Object.values<SqlValue>(change), turnId);
}

export function requestOf(turn: Pick<TurnRow, "request">): SubmitTurnBody {
  return submitTurnBody.parse(JSON.parse(turn.request));
}

export function usageOf(turn: Pick<TurnRow, "usage">): Usage {
  return turn.usage === null ? NO_USAGE : usage.parse(JSON.parse(turn.usage));
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cache_read_input_tokens: a.cache_read_input_tokens + b.cache_read_input_tokens,
    cache_creation_input_tokens: a.cache_creation_input_tokens + b.cache_creation_input_tokens,
  };
}
