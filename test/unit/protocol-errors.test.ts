import { expect, test } from "vitest";
import * as z from "zod";
import {
  ERROR_CODES,
  type ErrorCode,
  fromProblem,
  GatewayError,
  invalidRequest,
  problem,
  toGatewayError,
  toProblem,
} from "../../src/protocol/errors.ts";

const STATUS_OF: Record<ErrorCode, number> = {
  invalid_request: 400,
  bad_cursor: 400,
  path_refused: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  session_busy: 409,
  already_answered: 409,
  session_moved: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  idempotency_key_reused: 422,
  blank_input: 422,
  queue_full: 429,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
};

test("[ERR2] each code has its HTTP status", () => {
  const statuses = Object.entries(ERROR_CODES).map(([code, { status }]) => [code, status]);
  expect(Object.fromEntries(statuses)).toEqual(STATUS_OF);
});

test.for([
  new GatewayError("path_refused", "A path may not leave the workspace: ../x"),
  new GatewayError("invalid_request", "Wrong.", [{ path: "metadata.a", message: "expected a string" }]),
])("[ERR1] [ERR6] an error crosses the wire and is the same again", (error) => {
  const body = problem.parse(JSON.parse(JSON.stringify(toProblem(error))));
  expect(body).toMatchObject({ type: "about:blank", status: error.status, code: error.code, detail: error.message });

  const rebuilt = fromProblem(body);
  expect(rebuilt).toBeInstanceOf(GatewayError);
  expect({ ...rebuilt }).toEqual({ ...error });
  expect(rebuilt.message).toBe(error.message);
  expect(rebuilt.status).toBe(error.status);
});

test("[ERR1] an error without field errors has no such field", () => {
  expect(Object.keys(toProblem(new GatewayError("not_found", "There is no such session.")))).toEqual([
    "type",
    "title",
    "status",
    "code",
    "detail",
  ]);
});

test("[ERR3] the fields at fault are named by path", () => {
  const body = z.strictObject({ metadata: z.strictObject({ tags: z.array(z.string()) }), title: z.string() });
  const parsed = body.safeParse({ metadata: { tags: ["a", 1] }, title: null, colour: "red" });
  expect(parsed.error).toBeDefined();
  const error = invalidRequest(parsed.error ?? new z.ZodError([]));
  expect(error.code).toBe("invalid_request");
  expect(error.errors?.map(({ path }) => path)).toEqual(["metadata.tags.1", "title", ""]);
  expect(error.errors?.at(2)?.message).toContain("colour");
});

test("[ERR3] at most 20 fields are named", () => {
  const parsed = z.array(z.string()).safeParse(Array.from({ length: 50 }, () => 1));
  expect(invalidRequest(parsed.error ?? new z.ZodError([])).errors).toHaveLength(20);
});

test.for([new Error("secret: sk-123"), "secret: sk-123", { code: "not_found" }, null])(
  "[ERR4] what nobody foresaw is internal and says nothing more",
  (thrown) => {
    const shown = toProblem(toGatewayError(thrown));
    expect(shown.code).toBe("internal");
    expect(JSON.stringify(shown)).not.toMatch(/secret|sk-123|stack|not_found/);
  },
);
