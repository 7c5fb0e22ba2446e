import { z } from "zod";
import type { EventOf } from "../protocol/events.ts";
import { showHiddenLine } from "../protocol/show-hidden.ts";

type StatusOf<S> = Extract<EventOf<"STATUS">["data"], { status: S }>;

export function waitingForText({ input_ids, tool_use_ids = [] }: StatusOf<"waiting">): string {
  const inputs = input_ids.length === 0 ? [] : [counted(input_ids.length, "answer")];
  const calls =
    tool_use_ids.length === 0
      ? []
      : [counted(tool_use_ids.length, "result of clients' tools", "results of clients' tools")];
  return `waiting for ${[...inputs, ...calls].join(" and ")}`;
}

/** Who answered, and what. */
export function answeredText({ response, user_id, via }: StatusOf<"answered">): string {
  if (via === "deadline")
    return response === null ? "nobody answered in time" : `nobody answered in time: ${showHiddenLine(response)}`;
  const by = `${showHiddenLine(user_id ?? "somebody")}${via === "link" ? ", by a link" : ""}`;
  return `answered by ${by}: ${showHiddenLine(response ?? "")}`;
}

export function roomText({ by, cleared_results = 0, summarised_turns = 0 }: StatusOf<"made_room">): string {
  const parts = [
    ...(cleared_results === 0 ? [] : [`${counted(cleared_results, "older tool result")} left out`]),
    ...(summarised_turns === 0 ? [] : [`${counted(summarised_turns, "older turn")} summarised`]),
  ];
  const what = parts.length === 0 ? "" : `: ${parts.join(", ")}`;
  return `made room in the model's context${by === "model" ? " (by the model's own means)" : ""}${what}`;
}

const reached = z.object({
  budget: z.string(),
  limit: z.string(),
  used: z.number().nullable(),
  max: z.number(),
});

/** Which limit of which budget ended the turn; null where none did. */
export function budgetText({ status, stop_details }: EventOf<"ITERATION_END">["data"]): string | null {
  const parsed = reached.safeParse(stop_details);
  if (status !== "budget_exceeded" || !parsed.success) return null;
  const { budget, limit, used, max } = parsed.data;
  return `the ${budget}'s ${limit}: ${used ?? "unknown"} of ${max}`;
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
