import { type FieldError, GatewayError, notFound, toGatewayError, toProblem } from "../protocol/errors.ts";
import type { Answer } from "../session/session-api.ts";
import { RangeNotSatisfiable } from "./byte-range.ts";

/** Whatever was thrown, as the answer that a client may see. What nobody foresaw goes to the log. */
export function problemResponse(thrown: unknown): Response {
  const error = isPassingTrouble(thrown)
    ? new GatewayError("unavailable", "The session could not be reached for the moment. Try again.")
    : toGatewayError(thrown);
  if (thrown !== error) console.error("http:", thrown);
  const response = Response.json(toProblem(error), { status: error.status });
  response.headers.set("content-type", "application/problem+json");
  if (error instanceof RangeNotSatisfiable) response.headers.set("content-range", `bytes */${error.size}`);
  if (error.code === "unauthenticated") response.headers.set("www-authenticate", "Bearer");
  return response;
}

/** The value that a session's object answered with. @throws GatewayError for the problem that it answered with */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  const { code, detail, errors } = answer.problem;
  throw code === "not_found" ? notFound() : new GatewayError(code, detail, errors);
}

export function invalidField(path: string, message: string): GatewayError {
  const errors: FieldError[] = [{ path, message }];
  return new GatewayError("invalid_request", "The request does not have the expected shape.", errors);
}

/**
 * Whether the platform says that a call of an object failed for a reason that passes: a deploy, a move, too much load
 * (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/).
 */
function isPassingTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ("retryable" in thrown && thrown.retryable === true) || ("overloaded" in thrown && thrown.overloaded === true);
}
