import type { Sql } from "../engine/ports.ts";
import type { NewEvent } from "../protocol/events.ts";
import type { PendingInput } from "../protocol/rest.ts";
import { type InputRow, pendingInputs } from "./input-table.ts";
import { lastMessage } from "./transcript.ts";

/** What is asked for the calls of a turn, in their order; nothing for no turn. */
export function pendingOf(sql: Sql, turnId: string | null): { input: InputRow; toolUseId: string }[] {
  const last = turnId === null ? null : lastMessage(sql, turnId);
  if (last === null || last.waiting.size === 0) return [];
  return pendingInputs(sql, last.messageId).map((input) => ({ input, toolUseId: last.uses[input.position]?.id ?? "" }));
}

/** What a turn tells that can only go on once all of this is settled. */
export function waitingStatus(sql: Sql, turnId: string): NewEvent {
  const pending = viewPending(sql, turnId);
  const input_ids = pending.flatMap((input) => ("input_id" in input ? [input.input_id] : []));
  const tool_use_ids = pending.flatMap((input) => ("tool_use_id" in input ? [input.tool_use_id] : []));
  const tools = tool_use_ids.length === 0 ? {} : { tool_use_ids };
  return { type: "STATUS", data: { status: "waiting", input_ids, ...tools } };
}

/** The same as the API shows it. */
export function viewPending(sql: Sql, turnId: string | null): PendingInput[] {
  return pendingOf(sql, turnId).map(({ input: { kind, input_id }, toolUseId }) =>
    kind === "tool" ? { tool_use_id: toolUseId, kind } : { input_id, kind },
  );
}
