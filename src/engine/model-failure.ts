import { type Pauses, pauseAfter } from "../timing/pause-after.ts";
import { ModelError } from "./ports.ts";

/** Model calls that fail for reasons that pass are tried this often, the first attempt included. */
export const MODEL_MAX_ATTEMPTS = 6;

const BACKOFF: Pauses = { firstMs: 500, longestMs: 30_000 };
/** A `retry-after` beyond this is not waited for longer than this. */
const RETRY_AFTER_MAX_MS = 120_000;

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

/**
 * How long to wait before attempt number `attempt + 1`, in milliseconds: doubled each time, half of it random, and
 * never less than what the server asked for.
 */
export function backoffMs(attempt: number, retryAfterMs: number | null, random: () => number): number {
  const pause = pauseAfter(attempt - 1, BACKOFF, random);
  return Math.round(Math.max(pause, Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS)));
}

/** What was thrown while a model was called, as a ModelError. Anything unforeseen may hold anything, so it is only logged here. */
export function toModelError(thrown: unknown): ModelError {
  if (thrown instanceof ModelError) return thrown;
  console.error("model:", thrown);
  return new ModelError("network", "The model could not be called.");
}
