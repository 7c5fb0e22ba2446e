/** The errors that routes can answer, as the document describes them. */
import { ERROR_CODES, type ErrorCode, errorCode, GatewayError, toProblem } from "../../protocol/errors.ts";
import type { Scope } from "../../protocol/principal.ts";
import { header } from "../routes/answers.ts";

/** What of a route its errors follow from. */
export type Taken = { scope: Scope | null; path: string; hasJsonBody: boolean; problems: readonly ErrorCode[] };

/** Every error that a route can answer: its own, and those that follow from what it takes. */
export function problemCodes({ scope, path, hasJsonBody, problems }: Taken): ErrorCode[] {
  const codes = new Set<ErrorCode>(["invalid_request", ...problems, "internal"]);
  const add = (...more: ErrorCode[]) => {
    for (const code of more) codes.add(code);
  };
  if (scope !== null) add("unauthenticated", "forbidden", "rate_limited", "unavailable");
  if (path.includes("{session_id}")) add("not_found");
  if (hasJsonBody) add("too_large", "unsupported_media_type");
  return errorCode.options.filter((code) => codes.has(code));
}

const HEADERS: Readonly<Partial<Record<ErrorCode, Record<string, object>>>> = {
  unauthenticated: { "WWW-Authenticate": header("`Bearer`.") },
  rate_limited: {
    "Retry-After": {
      ...header("After how many seconds it makes sense to try again, where that is known."),
      required: false,
    },
  },
  range_not_satisfiable: { "Content-Range": header("`bytes */` and the file's size.") },
};

/** A status of errors: its name among the document's answers, and what stands there. */
export function problemAnswer(codes: readonly ErrorCode[]): { name: string; answer: object } {
  const statuses = [...new Set(codes.map((code) => ERROR_CODES[code].status))];
  return {
    name: codes.map(pascal).join("Or"),
    answer: {
      description: codes.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}.`).join(" "),
      headers: Object.assign({}, ...codes.map((code) => HEADERS[code])),
      content: {
        "application/problem+json": {
          schema: {
            allOf: [
              { $ref: "#/components/schemas/Problem" },
              { type: "object", properties: { status: { enum: statuses }, code: { enum: codes } } },
            ],
          },
          examples: Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }])),
        },
      },
    },
  };
}

function exampleOf(code: ErrorCode) {
  if (code !== "invalid_request") return toProblem(new GatewayError(code, `${ERROR_CODES[code].title}.`));
  const message = "Invalid input: expected string, received number";
  const detail = `The request does not have the expected shape. title: ${message}`;
  return toProblem(new GatewayError(code, detail, [{ path: "title", message }]));
}

/** `session_busy` as `SessionBusy`. */
export function pascal(text: string): string {
  return text
    .toLowerCase()
    .split("_")
    .map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)
    .join("");
}
