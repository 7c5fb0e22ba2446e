import { APIConnectionError, APIError } from "@anthropic-ai/sdk/core/error";
import * as z from "zod";
import { ModelError } from "../engine/ports.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { apiErrorType } from "./api-error-type.ts";

/** An error's text goes into the event log; a server may send any amount of it. */
const MESSAGE_MAX_CHARS = 1_000;
const TYPE_MAX_CHARS = 64;

/** `{"type": "error", "error": {type, message}}`, as a body or in a stream (https://docs.claude.com/en/api/errors). */
const errorBody = z.looseObject({
  error: z.looseObject({
    // It becomes the code of an event: what a server says there is taken for a word, or not at all.
    type: z
      .string()
      .regex(/^[a-z][a-z_]*$/)
      .max(TYPE_MAX_CHARS)
      .nullable()
      .catch(null),
    message: z.string().min(1).nullable().catch(null),
  }),
});

/**
 * The API has no type of its own for a prompt that does not fit the model's window
 * (https://docs.claude.com/en/docs/build-with-claude/context-windows), so this goes by its words.
 */
const TOO_LONG = /^prompt is too long\b|exceeds? the (model.s )?(maximum )?context|maximum context length is/i;

/** Why a request got no stream. Says nothing of what the SDK or the platform say, which may name headers. */
export function toRequestError(thrown: unknown, apiKey: string | undefined): ModelError {
  if (thrown instanceof APIConnectionError) {
    return new ModelError("network", "The model's server could not be reached.");
  }
  if (thrown instanceof APIError && thrown.status !== undefined) {
    const { status, headers } = thrown;
    const { type, message } = readError(thrown.error, apiKey);
    return new ModelError(
      type ?? apiErrorType(status),
      message ?? `The model's server answered with status ${status}.`,
      {
        status,
        retryAfterMs: headers === undefined ? null : retryAfterMs(headers, Date.now()),
        tooLong: status === 413 || (status === 400 && TOO_LONG.test(message ?? "")),
      },
    );
  }
  const message = "The request could not be made: ANTHROPIC_API_KEY may hold characters that no header can carry.";
  return new ModelError("configuration", message);
}

/** An `error` event of a stream, which began with status 200. */
export function toStreamError(event: unknown, apiKey: string | undefined): ModelError {
  const { type, message } = readError(event, apiKey);
  return new ModelError(type ?? "api_error", message ?? "The model's server broke the message off.");
}

function readError(body: unknown, apiKey: string | undefined): { type: string | null; message: string | null } {
  const parsed = errorBody.safeParse(body);
  if (!parsed.success) return { type: null, message: null };
  const { type, message } = parsed.data.error;
  // Some servers repeat the key that they refuse.
  const clean = apiKey === undefined ? message : message?.replaceAll(apiKey, "[key]");
  return {
    type,
    message: clean == null ? null : firstChars(clean, MESSAGE_MAX_CHARS),
  };
}

/** How long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, 10.2.3). */
export function retryAfterMs(headers: Pick<Headers, "get">, now: number): number | null {
  const ms = toNumber(headers.get("retry-after-ms"));
  if (ms !== null) return ms;
  const text = headers.get("retry-after");
  const seconds = toNumber(text);
  if (seconds !== null) return seconds * 1_000;
  const date = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

function toNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : null;
}
