import type { Event } from "../../protocol/events.ts";
import type { TurnResult } from "../../protocol/rest.ts";

/**
 * The result that a turn's events come to (SPEC.md, TURN14 to TURN17), but for what stands in no event. Takes whole
 * blocks; null where the turn has no end.
 */
export function resultOfEvents(
  events: readonly Event[],
): Omit<TurnResult, "session_id" | "turn_id" | "pending_inputs"> | null {
  const end = events.at(-1);
  if (end?.type !== "ITERATION_END") return null;
  const { status, usage, trace_id, duration_seconds } = end.data;
  let response_text = "";
  let tool_calls = 0;
  const work_products = new Set<string>();
  for (const { type, data } of events) {
    if (type === "TEXT") response_text += data.text;
    if (type === "TOOL_CALL") tool_calls++;
    if (type === "WORK_PRODUCT") work_products.add(data.path);
  }
  return {
    status,
    response_text,
    tool_calls,
    work_products: [...work_products],
    usage,
    trace_id,
    duration_seconds,
    cursor: `${end.seq}`,
  };
}

/** The exit code of a command that ran a turn (SPEC.md, CLI3). */
export function exitCodeOf(status: string): number {
  if (status === "complete") return 0;
  return status === "cancelled" ? 130 : 1;
}
