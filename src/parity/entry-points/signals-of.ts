import type { Event } from "../../protocol/events.ts";
import type { SayOptions } from "./entry-point.ts";

/** What `say` tells of while its turn runs, found in the turn's events; each once. */
export function signalsOf({ onToolCall, onQueued }: SayOptions): (event: Event) => void {
  const waiting = new Map([
    ["TOOL_CALL", onToolCall],
    ["queued", onQueued],
  ]);
  return ({ type, data }) => {
    const name = type === "STATUS" ? data.status : type;
    const notify = waiting.get(name);
    waiting.delete(name);
    notify?.();
  };
}
