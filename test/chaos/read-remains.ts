import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { Phase, Remains } from "./host.ts";

const turnRow = z.object({
  turn_id: z.string(),
  status: z.string(),
  starts: z.int(),
  cancelled: z.int(),
  retry_at: z.int().nullable(),
});
type TurnRow = z.infer<typeof turnRow>;

const callRow = z.object({ status: z.string(), stage_id: z.string().nullable() });
const eventRow = z.object({ type: z.string(), data: z.string().nullable() });

/** What a session was doing, from its tables. @param uploaded whether bytes lie under this stage id */
export function readRemains(db: DatabaseSync, uploaded: (stageId: string) => boolean): Remains {
  const tables = db.prepare("SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'meta'").get();
  if (tables?.["n"] !== 1) return { phase: "no session", turnId: null, starts: 0, queued: 0 };
  const deleting = db.prepare("SELECT value FROM meta WHERE key = 'deleting'").get();
  const open = "SELECT turn_id, status, starts, cancelled, retry_at FROM turns WHERE ended_at IS NULL";
  const turns = db
    .prepare(`${open} ORDER BY position`)
    .all()
    .map((row) => turnRow.parse(row));
  const active = turns.find(({ status }) => status !== "queued");
  const queued = turns.filter(({ status }) => status === "queued").length;
  const found = { turnId: active?.turn_id ?? null, starts: active?.starts ?? 0, queued };
  if (deleting !== undefined) return { phase: "deleting", ...found };
  if (active === undefined) return { phase: queued > 0 ? "queued" : "idle", ...found };
  return { phase: phaseOf(db, active, uploaded), ...found };
}

function phaseOf(db: DatabaseSync, turn: TurnRow, uploaded: (stageId: string) => boolean): Phase {
  if (turn.cancelled === 1) return "cancelling";
  const lastMessage = "SELECT MAX(id) FROM messages WHERE turn_id = ? AND role = 'assistant'";
  const calls = db
    .prepare(`SELECT status, stage_id FROM tool_calls WHERE message_id = (${lastMessage}) AND status != 'closed'`)
    .all(turn.turn_id)
    .map((row) => callRow.parse(row));
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
