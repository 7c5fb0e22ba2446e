import { formatCursor } from "../protocol/cursors.ts";
import { type EventType, toTimestamp } from "../protocol/events.ts";
import { traceIdOf } from "../protocol/ids.ts";
import type { PendingInput, Turn } from "../protocol/rest.ts";
import type { EventLog } from "./event-log.ts";
import { requestOf, type TurnRow, usageOf } from "./turn-table.ts";

/** `pending` is what the turn asks of somebody; `now` is in ms since the epoch. */
export type TurnContext = { sessionId: string; log: EventLog; pending: PendingInput[]; now: number };

/** A turn as the API shows it. What it said and made is read from the log. */
export function viewTurn(row: TurnRow, { sessionId, log, pending, now }: TurnContext): Turn {
  const { user_input, metadata = {} } = requestOf(row);
  const textsOf = (type: EventType, field: string) =>
    row.started_at === null
      ? []
      : [...log.dataOf(row.turn_id, type, row.first_seq ?? 1, row.last_seq)].map((data) => String(data[field]));
  return {
    turn_id: row.turn_id,
    session_id: sessionId,
    status: row.status,
    response_text: textsOf("TEXT", "text").join(""),
    tool_calls: row.tool_calls,
    work_products: [...new Set(textsOf("WORK_PRODUCT", "path"))],
    usage: usageOf(row),
    trace_id: traceIdOf(row.turn_id),
    duration_seconds: row.started_at === null ? 0 : ((row.ended_at ?? now) - row.started_at) / 1000,
    cursor: row.last_seq === null ? log.cursor() : formatCursor({ seq: row.last_seq }),
    pending_inputs: pending,
    user_input,
    metadata,
    created_at: toTimestamp(row.created_at),
  };
}
