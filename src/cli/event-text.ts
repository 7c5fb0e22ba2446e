import * as z from "zod";
import { LOCAL_USER } from "../local/local-user.ts";
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
  // On a machine of one's own there is nobody else.
  const name = user_id === LOCAL_USER.user_id ? "" : ` by ${showHiddenLine(user_id ?? "somebody")}`;
  return `answered${name}${via === "link" ? ", by a link" : ""}: ${showHiddenLine(response ?? "")}`;
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
export function limitText({ status, stop_details }: EventOf<"ITERATION_END">["data"]): string | null {
  if (status === "max_iterations") return "as many model calls as a turn may have";
  const parsed = reached.safeParse(stop_details);
  if (status !== "budget_exceeded" || !parsed.success) return null;
  const { budget, limit, used, max } = parsed.data;
  const figure = (value: number | null) => (value === null ? "unknown" : amountOf(limit, value));
  return `the ${budget}'s ${LIMIT_NAMES[limit] ?? limit}: ${figure(used)} of ${figure(max)}`;
}

const LIMIT_NAMES: Readonly<Record<string, string>> = { tokens: "tokens", seconds: "time", cost_usd: "cost" };

/** As far as it matters, and never so rounded that it says nothing. */
function amountOf(limit: string, value: number): string {
  if (limit === "seconds") return `${rounded(value, 1)} s`;
  if (limit === "cost_usd") return `$${rounded(value, value < 1 ? 4 : 2, 2)}`;
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

function rounded(value: number, digits: number, atLeast = 0): string {
  const least = 10 ** -digits;
  if (value > 0 && value < least) return value.toPrecision(2);
  return value.toLocaleString("en-US", { minimumFractionDigits: atLeast, maximumFractionDigits: digits });
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
