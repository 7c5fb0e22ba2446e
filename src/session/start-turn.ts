import type { Sql } from "../engine/ports.ts";
import type { EventLog, LogWriter } from "./event-log.ts";
import { type Settings, workspaceDir } from "./settings.ts";
import { insertUserMessage } from "./transcript.ts";
import { type NewTurn, requestOf, type TurnRow } from "./turn-table.ts";

/** Writes a turn's first events and its message, inside a transaction of the log; returns what its row needs. */
export function startTurn(
  { sql, log, now }: { sql: Sql; log: EventLog; now(): number },
  writer: LogWriter,
  turn: NewTurn,
  settings: Settings,
): Partial<TurnRow> {
  const first_seq = log.lastSeq + 1;
  const { session_id, user_id, model, fast_model, system } = settings;
  const { user_input, force_complex, metadata = {} } = requestOf(turn);
  const path = fast_model !== null && force_complex !== true ? "fast" : "complex";
  const { turn_id } = turn;
  const workspace = workspaceDir(settings);
  writer.append({ type: "SESSION_INFO", data: { session_id, user_id, workspace, model } }, turn_id);
  writer.append({ type: "USER_INPUT", data: { text: user_input, user_id: turn.user_id, metadata } }, turn_id);
  writer.append({ type: "STATUS", data: { status: "processing", iteration: 1, path } }, turn_id);
  insertUserMessage(sql, turn_id, user_input);
  return { started_at: now(), first_seq, model, fast_model, system, path };
}
