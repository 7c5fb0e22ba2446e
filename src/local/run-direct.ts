import type { ModelVariables } from "../models/models.ts";
import type { Event } from "../protocol/events.ts";
import type { SubmitTurnBody } from "../protocol/rest.ts";

export type DirectOptions = {
  /** The directory that the agent works in. */
  workspace: string;
  models: ModelVariables;
  /** Without one, the default of `models`. */
  model?: string | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Runs one turn straight through the engine: no session is kept, no queue, no index, and nobody can follow it. Yields its
 * events up to and with ITERATION_END. Aborting cancels the turn, which then still ends with its ITERATION_END.
 */
export function runDirect(_options: DirectOptions, _message: SubmitTurnBody): AsyncIterable<Event> {
  throw new Error("not built yet");
}
