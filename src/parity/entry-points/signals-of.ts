import type { Event } from "../../protocol/events.ts";
import type { Asked, SayOptions } from "./entry-point.ts";

/** What `say` tells of while its turn runs, found in the turn's events; each once. */
export function signalsOf({ onToolCall, onQueued, onWaiting }: SayOptions): (event: Event) => void {
  const waiting = new Map([
    ["TOOL_CALL", onToolCall],
    ["queued", onQueued],
    ["waiting", onWaiting],
  ]);
  return (event) => {
    const name = event.type === "STATUS" ? event.data.status : event.type;
    const notify = waiting.get(name);
    waiting.delete(name);
    notify?.(askedIn(event));
  };
}

function askedIn({ type, data }: Event): Asked[] {
  if (type !== "STATUS" || data.status !== "waiting") return [];
  const { input_ids, tool_use_ids = [] } = data;
  return [
    ...input_ids.map((id) => ({ kind: "input" as const, id })),
    ...tool_use_ids.map((id) => ({ kind: "tool" as const, id })),
  ];
}
