/** What routes take beside their bodies: path parameters, queries, headers. */
import * as z from "zod";
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
export const sessionParams = z.object({ session_id: z.string().describe("The session's id.") });
export const turnParams = sessionParams.extend({ turn_id: z.string().describe("The turn's id.") });
export const inputParams = sessionParams.extend({ input_id: z.string().describe("The id of what is asked.") });
export const toolResultParams = sessionParams.extend({
  tool_use_id: z.string().describe("The id of the tool call, as TOOL_CALL and pending_inputs say it."),
});
export const fileParams = sessionParams.extend({
  path: z
    .string()
    .describe("The file's path in the workspace, in percent-encoding; its slashes may stand as they are or as %2F."),
});

export const tokenParams = z.object({ token_id: z.string().describe("The token's id.") });

// `x-as` is how a parameter reads to who sends it: the document shows it in the place of the text that is parsed.

/** A whole number without sign, leading zero or fraction. */
const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,5}$/, `a whole number from 1 to ${max}`)
    .transform(Number)
    .pipe(z.int().max(max));

const limit = (usual: number, max: number) =>
  wholeNumber(max)
    .default(usual)
    .meta({
      description: "How many items a page has at most.",
      "x-as": { type: "integer", minimum: 1, maximum: max, default: usual },
    });

const pageCursor = z.string().optional().describe("The next_cursor of the page before.");

export const noQuery = z.strictObject({});

export const pageQuery = z.strictObject({ limit: limit(PAGE_DEFAULT, PAGE_MAX), cursor: pageCursor });

export const sessionsQuery = pageQuery.extend({
  status: sessionStatus.optional().describe("Sessions of this status alone."),
  user_id: z
    .string()
    .min(1)
    .max(USER_ID_MAX_CHARS)
    .optional()
    .describe("This user's sessions; another's than one's own are for admins."),
  q: z.string().max(TITLE_MAX_CHARS).optional().describe("A part of the title, in any case."),
});

export const filesQuery = pageQuery.extend({
  prefix: z
    .string()
    .default("")
    .meta({ description: "What paths begin with.", "x-as": { type: "string", default: "" } }),
});

export const usageQuery = usageFilter.extend({ limit: limit(USAGE_PAGE_DEFAULT, USAGE_PAGE_MAX) });

export const submitQuery = z.strictObject({
  /** How many seconds to wait for the turn's end. */
  wait: z
    .union([z.literal("true").transform(() => WAIT_MAX_SECONDS), wholeNumber(WAIT_MAX_SECONDS)])
    .optional()
    .meta({
      description: `Wait for the turn's end, or until it waits for somebody: so many seconds, or \`true\` for ${WAIT_MAX_SECONDS}.`,
      "x-as": {
        oneOf: [
          { type: "boolean", const: true },
          { type: "integer", minimum: 1, maximum: WAIT_MAX_SECONDS },
        ],
      },
    }),
});

/** In the place of a token, where no header can be sent. */
const ticket = z.string().optional().describe("A ticket in the place of a token, where no header can be sent.");

export const eventsQuery = z.strictObject({
  after: z.string().optional().describe("A cursor: what comes behind it. By default the log from its start."),
  ticket,
  limit: limit(EVENTS_PAGE_DEFAULT, EVENTS_PAGE_MAX),
  types: z
    .string()
    .transform((types) => types.split(","))
    .pipe(z.array(eventType))
    .optional()
    .meta({
      description: "Events of these types alone.",
      "x-as": { type: "array", items: { type: "string", enum: eventType.options }, minItems: 1 },
    }),
});

export const streamQuery = z.strictObject({
  after: z
    .string()
    .optional()
    .describe("A cursor: what comes behind it first. By default only what happens from now on."),
  ticket,
});

export const idempotencyHeaders = z.object({
  "idempotency-key": idempotencyKey
    .optional()
    .describe("For 24 hours, a repeat with the same key gets the first answer again and does nothing new."),
});

/** @throws GatewayError `bad_cursor` for what no cursor looks like; whether the log reaches so far, its object knows */
export function checkedCursor(text: string): string {
  if (parseCursor(text) === null) throw new GatewayError("bad_cursor", "The cursor is not one that the gateway gave.");
  return text;
}
