import { logError } from "../logging/log.ts";
import { MODEL_RETRY_AFTER_MAX_MS } from "../protocol/limits.ts";
import { type Pauses, pauseAfter } from "../timing/pause-after.ts";
import { ModelError } from "./ports.ts";

/** Model calls that fail for reasons that pass are tried this often, the first attempt included. */
export const MODEL_MAX_ATTEMPTS = 6;

const BACKOFF: Pauses = { firstMs: 500, longestMs: 30_000 };

const PASSING_CODES: ReadonlySet<string> = new Set([
  "network",
  "cut",
  "stalled",
  "malformed",
  "api_error",
  "overloaded_error",
  "rate_limit_error",
  "timeout_error",
]);

/** Whether the same request may succeed later. */
export function isPassing({ code, status }: ModelError): boolean {
  if (status !== null && status !== 200) return status === 408 || status === 409 || status === 429 || status >= 500;
  return PASSING_CODES.has(code);
}

/** Whether the API refused the input itself, so that later requests must leave it out. */
export function refusesInput({ code, status }: ModelError): boolean {
  return status === 400 || status === 413 || code === "invalid_request_error" || code === "request_too_large";
}

/** Whether the server asks for a wait that no turn is kept open for; to come back earlier would only use up attempts. */
export function asksForTooLong({ retryAfterMs }: ModelError): boolean {
  return (retryAfterMs ?? 0) > MODEL_RETRY_AFTER_MAX_MS;
}

/** An error's words, with the wait that its server asked for. */
export function explain({ message, retryAfterMs }: ModelError): string {
  if (retryAfterMs === null || retryAfterMs <= 0) return message;
  return `${message} The model's server asks to try again in ${Math.ceil(retryAfterMs / 1_000)} s at the earliest.`;
}

/**
 * How long to wait before attempt number `attempt + 1`, in milliseconds: doubled each time, half of it random, and
 * never less than what the server asked for.
 */
export function backoffMs(attempt: number, retryAfterMs: number | null, random: () => number): number {
  const pause = pauseAfter(attempt - 1, BACKOFF, random);
  return Math.ceil(Math.max(pause, retryAfterMs ?? 0));
}

/** What was thrown while a model was called, as a ModelError. Anything unforeseen may hold anything, so it is only logged here. */
export function toModelError(thrown: unknown): ModelError {
  if (thrown instanceof ModelError) return thrown;
  logError("model", thrown);
  return new ModelError("network", "The model could not be called.");
}
