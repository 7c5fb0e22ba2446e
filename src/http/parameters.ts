/** What routes take beside their bodies: path parameters, queries, headers. */
import { z } from "zod";
import { parseCursor } from "../protocol/cursors.ts";
import { GatewayError } from "../protocol/errors.ts";
import { eventType } from "../protocol/events.ts";
import { idempotencyKey } from "../protocol/frames.ts";
import {
  EVENTS_PAGE_DEFAULT,
  EVENTS_PAGE_MAX,
  PAGE_DEFAULT,
  PAGE_MAX,
  TITLE_MAX_CHARS,
  USAGE_PAGE_DEFAULT,
  USAGE_PAGE_MAX,
  USER_ID_MAX_CHARS,
  WAIT_MAX_SECONDS,
} from "../protocol/limits.ts";
import { sessionStatus } from "../protocol/rest.ts";
import { usageFilter } from "../protocol/usage.ts";

// Ids are plain strings here: one that no session can have must get the answer for one that does not exist, and that
// comes after the body was looked at.
export const sessionParams = z.object({ session_id: z.string() });
export const turnParams = sessionParams.extend({ turn_id: z.string() });
export const inputParams = sessionParams.extend({ input_id: z.string() });
export const toolResultParams = sessionParams.extend({ tool_use_id: z.string() });
export const fileParams = sessionParams.extend({ path: z.string() });
export const tokenParams = z.object({ token_id: z.string() });

/** A whole number without sign, leading zero or fraction. */
const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,5}$/, `a whole number from 1 to ${max}`)
    .transform(Number)
    .pipe(z.int().max(max));

const limit = (usual: number, max: number) => wholeNumber(max).default(usual);

export const noQuery = z.strictObject({});

export const pageQuery = z.strictObject({ limit: limit(PAGE_DEFAULT, PAGE_MAX), cursor: z.string().optional() });

export const sessionsQuery = pageQuery.extend({
  status: sessionStatus.optional(),
  user_id: z.string().min(1).max(USER_ID_MAX_CHARS).optional(),
  q: z.string().max(TITLE_MAX_CHARS).optional(),
});

export const filesQuery = pageQuery.extend({ prefix: z.string().default("") });

export const usageQuery = usageFilter.extend({ limit: limit(USAGE_PAGE_DEFAULT, USAGE_PAGE_MAX) });

export const submitQuery = z.strictObject({
  /** How many seconds to wait for the turn's end. */
  wait: z.union([z.literal("true").transform(() => WAIT_MAX_SECONDS), wholeNumber(WAIT_MAX_SECONDS)]).optional(),
});

export const eventsQuery = z.strictObject({
  after: z.string().optional(),
  limit: limit(EVENTS_PAGE_DEFAULT, EVENTS_PAGE_MAX),
  types: z
    .string()
    .transform((types) => types.split(","))
    .pipe(z.array(eventType))
    .optional(),
});

export const streamQuery = z.strictObject({ after: z.string().optional() });

export const idempotencyHeaders = z.object({ "idempotency-key": idempotencyKey.optional() });

/** @throws GatewayError `bad_cursor` for what no cursor looks like; whether the log reaches so far, its object knows */
export function checkedCursor(text: string): string {
  if (parseCursor(text) === null) throw new GatewayError("bad_cursor", "The cursor is not one that the gateway gave.");
  return text;
}
