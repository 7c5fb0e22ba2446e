import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { NO_REMAINS, type Phase, type Remains } from "./host.ts";

const turnRow = z.object({
  turn_id: z.string(),
  status: z.string(),
  starts: z.int(),
  cancelled: z.int(),
  retry_at: z.int().nullable(),
});
type TurnRow = z.infer<typeof turnRow>;

const callRow = z.object({ position: z.int(), status: z.string(), stage_id: z.string().nullable() });
const inputRow = z.object({ position: z.int(), input_id: z.string(), expires_at: z.int() });
const eventRow = z.object({ type: z.string(), data: z.string().nullable() });

/** What a session was doing, from its tables. @param uploaded whether bytes lie under this stage id */
export function readRemains(db: DatabaseSync, uploaded: (stageId: string) => boolean): Remains {
  const tables = db.prepare("SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'meta'").get();
  if (tables?.["n"] !== 1) return NO_REMAINS;
  const deleting = db.prepare("SELECT value FROM meta WHERE key = 'deleting'").get();
  const open = "SELECT turn_id, status, starts, cancelled, retry_at FROM turns WHERE ended_at IS NULL";
  const turns = db
    .prepare(`${open} ORDER BY position`)
    .all()
    .map((row) => turnRow.parse(row));
  const active = turns.find(({ status }) => status !== "queued");
  const queued = turns.filter(({ status }) => status === "queued").length;
  const asked = active === undefined ? [] : askedIn(db, active.turn_id);
  const found = { turnId: active?.turn_id ?? null, starts: active?.starts ?? 0, queued, asked };
  if (deleting !== undefined) return { phase: "deleting", ...found };
  if (active === undefined) return { phase: queued > 0 ? "queued" : "idle", ...found };
  return { phase: phaseOf(db, active, uploaded), ...found };
}

const OF_LAST_MESSAGE = "message_id = (SELECT MAX(id) FROM messages WHERE turn_id = ? AND role = 'assistant')";

/** What the open calls of the turn's last message wait for, in their order. */
function inputsOf(db: DatabaseSync, turnId: string): z.infer<typeof inputRow>[] {
  const open = `SELECT position FROM tool_calls WHERE ${OF_LAST_MESSAGE} AND status != 'closed'`;
  return db
    .prepare(`SELECT position, input_id, expires_at FROM inputs
      WHERE ${OF_LAST_MESSAGE} AND response IS NULL AND position IN (${open}) ORDER BY position`)
    .all(turnId, turnId)
    .map((row) => inputRow.parse(row));
}

function askedIn(db: DatabaseSync, turnId: string): Remains["asked"] {
  return inputsOf(db, turnId).map(({ input_id, expires_at }) => ({ id: input_id, until: expires_at }));
}

function phaseOf(db: DatabaseSync, turn: TurnRow, uploaded: (stageId: string) => boolean): Phase {
  if (turn.cancelled === 1) return "cancelling";
  const calls = db
    .prepare(`SELECT position, status, stage_id FROM tool_calls WHERE ${OF_LAST_MESSAGE} AND status != 'closed'
      ORDER BY position`)
    .all(turn.turn_id)
    .map((row) => callRow.parse(row));
  if (turn.status === "waiting") {
    const [next] = inputsOf(db, turn.turn_id);
    return next !== undefined && next.position === calls[0]?.position ? "waiting" : "answered";
  }
  if (calls.some(({ status }) => status === "applying")) return "call applying";
  const started = calls.filter(({ status }) => status === "started");
  if (started.some(({ stage_id }) => stage_id !== null && uploaded(stage_id))) return "call uploaded";
  if (started.length > 0) return "call started";
  if (calls.length > 0) return "call open";
  // A block whose characters were in memory alone.
  const last = db
    .prepare("SELECT type, data FROM events WHERE turn_id = ? ORDER BY seq DESC LIMIT 1")
    .get(turn.turn_id);
  const event = last === undefined ? null : eventRow.parse(last);
  if (event?.data === null && event.type === "TEXT") return "text";
  if (event?.data === null && event.type === "THINKING") return "thinking";
  return turn.retry_at === null ? "model call" : "retry wait";
}
