import type { TurnEnd } from "../engine/next-step.ts";
import type { NewEvent, Usage } from "../protocol/events.ts";
import { traceIdOf } from "../protocol/ids.ts";
import type { TurnRow } from "./turn-table.ts";

/** The one event that every turn ends with. `seconds` is how long it ran. */
export function iterationEnd(
  { turn_id, tool_calls }: Pick<TurnRow, "turn_id" | "tool_calls">,
  { status, stopReason, stopDetails }: Omit<TurnEnd, "error">,
  { usage, seconds }: { usage: Usage; seconds: number },
): NewEvent {
  return {
    type: "ITERATION_END",
    data: {
      status,
      stop_reason: stopReason,
      stop_details: stopDetails,
      tool_calls,
      duration_seconds: seconds,
      usage,
      trace_id: traceIdOf(turn_id),
    },
  };
}
