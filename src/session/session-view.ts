import { toTimestamp } from "../protocol/events.ts";
import type { PendingInput, Session as SessionView } from "../protocol/rest.ts";
import type { EventLog } from "./event-log.ts";
import { type Settings, workspaceDir } from "./settings.ts";
import type { OpenTurn } from "./turn-table.ts";

/**
 * A session as the API shows it. `open` are its turns that have not ended, in the order in which they run; `pending` is
 * what is asked of somebody.
 */
export function viewSession(
  settings: Settings,
  open: readonly OpenTurn[],
  log: EventLog,
  pending: PendingInput[],
): SessionView {
  const { session_id, user_id, title, model, metadata, created_at, changed_at } = settings;
  const active = open.find(({ status }) => status !== "queued");
  const queued = open.filter(({ status }) => status === "queued");
  return {
    session_id,
    user_id,
    title,
    status: active !== undefined ? statusOf(active) : queued.length > 0 ? "queued" : "idle",
    workspace_dir: workspaceDir(settings),
    model,
    // What is given away may be changed by whoever has it.
    metadata: structuredClone(metadata),
    created_at: toTimestamp(created_at),
    updated_at: toTimestamp(Math.max(changed_at, log.lastAt ?? 0)),
    last_seq: log.lastSeq,
    active_turn: active?.turn_id ?? null,
    queued_turns: queued.map(({ turn_id }) => turn_id),
    pending_inputs: pending,
  };
}

function statusOf({ status }: OpenTurn): "running" | "waiting" {
  return status === "waiting" ? "waiting" : "running";
}
