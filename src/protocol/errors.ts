import * as z from "zod";

/** Every error code of the contract, with the HTTP status that carries it and a title that never changes. */
export const ERROR_CODES = {
  invalid_request: { status: 400, title: "The request is not valid" },
  bad_cursor: { status: 400, title: "The cursor is not valid" },
  path_refused: { status: 400, title: "The path is refused" },
  unauthenticated: { status: 401, title: "A valid token is needed" },
  forbidden: { status: 403, title: "The token may not do this" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  session_busy: { status: 409, title: "A turn is running" },
  already_answered: { status: 409, title: "Already answered" },
  session_moved: { status: 409, title: "The session has moved" },
  precondition_failed: { status: 412, title: "A precondition does not hold" },
  too_large: { status: 413, title: "Too large" },
  unsupported_media_type: { status: 415, title: "The content type is not supported" },
  range_not_satisfiable: { status: 416, title: "The range lies outside the file" },
  idempotency_key_reused: { status: 422, title: "The idempotency key came with another body" },
  blank_input: { status: 422, title: "The input is blank" },
  queue_full: { status: 429, title: "The queue is full" },
  rate_limited: { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "Internal error" },
  unavailable: { status: 503, title: "Unavailable for the moment" },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

const fieldError = z.strictObject({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof fieldError>;

/**
 * An error that a client may see. `message` is the detail that it is shown: no secret, no stack, no id that was not
 * found. Whatever else is thrown becomes `internal`.
 */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  readonly errors: FieldError[] | undefined;
  /** When it makes sense to try again, as the answer's `Retry-After` says it. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, detail: string, errors?: FieldError[], retryAfterSeconds?: number) {
    super(detail);
    this.code = code;
    this.errors = errors;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** The HTTP status that carries it. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/**
 * The one answer for whatever is not there. It does not say what is missing, so that nobody can tell what belongs to
 * others from what does not exist.
 */
export function notFound(): GatewayError {
  return new GatewayError("not_found", "There is nothing here.");
}

export const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

/** RFC 9457, `application/problem+json`. */
export const problem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: errorCode,
  detail: z.string(),
  errors: z.array(fieldError).optional(),
});
export type Problem = z.infer<typeof problem>;

/** The body of the answer that carries an error. */
export function toProblem(error: GatewayError): Problem {
  const { status, title } = ERROR_CODES[error.code];
  return {
    type: "about:blank",
    title,
    status,
    code: error.code,
    detail: error.message,
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  };
}

/** The error that an answer carried. */
export function fromProblem(body: Problem, retryAfterSeconds?: number): GatewayError {
  return new GatewayError(body.code, body.detail, body.errors, retryAfterSeconds);
}

/** The one answer for who shows no right that holds: it does not say what is wrong with the one that was shown. */
export function unauthenticated(): GatewayError {
  return new GatewayError("unauthenticated", "Send a valid token as Authorization: Bearer.");
}

/** What was thrown, as an error that may leave the gateway. Anything unforeseen shows only that it happened. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("internal", "Something went wrong in the gateway; its log says more.");
}

/** The fields at fault, in the words of the schema. */
export function invalidRequest(error: z.ZodError, what: "request" | "frame" = "request"): GatewayError {
  const errors = error.issues.slice(0, 20).map((issue) => ({
    path: issue.path.map(String).join("."),
    message: issue.message,
  }));
  return invalidFields(errors, what);
}

/** One field at fault. */
export function invalidField(path: string, message: string): GatewayError {
  return invalidFields([{ path, message }], "request");
}

function invalidFields(errors: FieldError[], what: "request" | "frame"): GatewayError {
  const [first] = errors;
  // Most who read it see no more of it than this.
  const which = first === undefined ? "" : ` ${first.path === "" ? "" : `${first.path}: `}${first.message}`;
  return new GatewayError("invalid_request", `The ${what} does not have the expected shape.${which}`, errors);
}
