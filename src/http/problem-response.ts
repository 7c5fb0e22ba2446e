import { fromProblem, GatewayError, notFound, type Problem, toGatewayError, toProblem } from "../protocol/errors.ts";
import type { Answer } from "../session/session-api.ts";
import { RangeNotSatisfiable } from "./byte-range.ts";

/** Whatever was thrown, as the error that a client may see. What nobody foresaw is another one, and goes to the log. */
export function clientError(thrown: unknown): GatewayError {
  return isPassingTrouble(thrown)
    ? new GatewayError("unavailable", "The session could not be reached for the moment. Try again.")
    : toGatewayError(thrown);
}

/** The same as the answer that carries it. */
export function problemResponse(thrown: unknown): Response {
  const error = clientError(thrown);
  const response = Response.json(toProblem(error), { status: error.status });
  response.headers.set("content-type", "application/problem+json");
  if (error instanceof RangeNotSatisfiable) response.headers.set("content-range", `bytes */${error.size}`);
  if (error.retryAfterSeconds !== undefined) response.headers.set("retry-after", String(error.retryAfterSeconds));
  if (error.code === "unauthenticated") response.headers.set("www-authenticate", "Bearer");
  return response;
}

/** The value that a session's object answered with. @throws GatewayError for the problem that it answered with */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw refusalOf(answer.problem, answer.retryAfterSeconds);
}

/** What a session's object refuses, as the client may see it: all that is not there looks the same. */
export function refusalOf(answered: Problem, retryAfterSeconds?: number): GatewayError {
  return answered.code === "not_found" ? notFound() : fromProblem(answered, retryAfterSeconds);
}

/**
 * Whether the platform says that a call of an object failed for a reason that passes: a deploy, a move, too much load
 * (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/).
 */
function isPassingTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ("retryable" in thrown && thrown.retryable === true) || ("overloaded" in thrown && thrown.overloaded === true);
}
