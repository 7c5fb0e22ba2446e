import { type Observation, readViews, turnsIn } from "./observation.ts";
import { resultOfEvents } from "./result-of-events.ts";

/** What an entry point's turns came to, in figures that a model is free in. */
export type Telling = { status: string; toolCalls: number; characters: number; paths: string[] };

export function tellingOf({ views }: Observation): Telling {
  const results = turnsIn(readViews(views)[0]?.events ?? []).flatMap((turn) => resultOfEvents(turn) ?? []);
  return {
    status: results.map(({ status }) => status).join(", ") || "no end",
    toolCalls: results.reduce((count, { tool_calls }) => count + tool_calls, 0),
    characters: results.reduce((count, { response_text }) => count + response_text.length, 0),
    paths: [...new Set(results.flatMap(({ work_products }) => work_products))],
  };
}
