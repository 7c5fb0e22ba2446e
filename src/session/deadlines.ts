import type { Deadlines } from "../engine/turn-deps.ts";
import {
  MODEL_CALL_TIMEOUT_MS,
  MODEL_FIRST_EVENT_TIMEOUT_MS,
  MODEL_NEXT_EVENT_TIMEOUT_MS,
  MODEL_PROGRESS_TIMEOUT_MS,
  TOOL_TIMEOUT_MS,
} from "../protocol/limits.ts";

/** How long a turn waits for what is outside, on every host. */
export const DEADLINES: Deadlines = {
  firstEventMs: MODEL_FIRST_EVENT_TIMEOUT_MS,
  nextEventMs: MODEL_NEXT_EVENT_TIMEOUT_MS,
  progressMs: MODEL_PROGRESS_TIMEOUT_MS,
  callMs: MODEL_CALL_TIMEOUT_MS,
  toolMs: TOOL_TIMEOUT_MS,
};
