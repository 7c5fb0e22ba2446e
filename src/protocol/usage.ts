/** What was used, as GET /usage tells it, and as it is stored until then. */
import * as z from "zod";
import { invalidField } from "./errors.ts";
import { time, toTimestamp } from "./events.ts";
import { USAGE_RANGE_DAYS, USAGE_RANGE_MAX_DAYS, USER_ID_MAX_CHARS } from "./limits.ts";

const DAY_MS = 86_400_000;

/** No time in a log is later: its year would have more than four digits. */
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

/** What an ended turn used of one model: one row of the table `usage`. Nothing of what was said stands in it. */
export type TurnUsage = {
  /** Whose session it was. */
  user_id: string;
  /** In ms since the epoch. */
  ended_at: number;
  turn_id: string;
  model: string;
  session_id: string;
  model_calls: number;
  /** Of the whole turn, with the first of its models; 0 with the others. */
  tool_calls: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
  /** By the prices of that time; null where a call had none. */
  cost_usd: number | null;
};

export const usageGroup = z.enum(["day", "user", "model", "session"]);
export type UsageGroup = z.infer<typeof usageGroup>;

/** A day, which stands for its beginning in UTC, or a time. */
const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })], "a day (2026-01-31) or a time of ISO 8601");

export const usageFilter = z.strictObject({
  from: moment.optional().describe("Turns that ended from then on: a day of UTC, or a time."),
  to: moment.optional().describe("Turns that ended before then. By default the end of today."),
  group_by: usageGroup.default("day").describe("What the lines of the report stand for."),
  user_id: z
    .string()
    .min(1)
    .max(USER_ID_MAX_CHARS)
    .optional()
    .describe("What this user has used; another than oneself is for admins."),
  cursor: z.string().optional().describe("The next_cursor of the page before."),
});

export const usageSums = z.strictObject({
  turns: z.int(),
  model_calls: z.int(),
  tool_calls: z.int(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  /** Of the calls that had a price; null where none had. */
  cost_usd: z.number().nullable(),
  /** Model calls that are not in `cost_usd`. */
  unpriced_calls: z.int(),
});
export type UsageSums = z.infer<typeof usageSums>;

export const usageLine = usageSums.extend({ key: z.string() });
export type UsageLine = z.infer<typeof usageLine>;

export const usageReport = z.strictObject({
  from: time,
  to: time,
  group_by: usageGroup,
  usage: z.array(usageLine),
  /** Of the whole range, whichever page it comes with. */
  total: usageSums,
  next_cursor: z.string().nullable(),
});
export type UsageReport = z.infer<typeof usageReport>;

/** From and with `from`, up to and without `to`, in ms since the epoch. */
export type UsageRange = { from: number; to: number };

/**
 * The range that a query means: by default the last 30 days, today included.
 *
 * @throws GatewayError `invalid_request` for one that is empty, too long, or not within the years 1970 to 9999
 */
export function usageRange(query: { from?: string | undefined; to?: string | undefined }, now: number): UsageRange {
  // Whole days, so that the pages of a report are of one range.
  const to = query.to === undefined ? (Math.floor(now / DAY_MS) + 1) * DAY_MS : Date.parse(query.to);
  const from = query.from === undefined ? Math.max(0, to - USAGE_RANGE_DAYS * DAY_MS) : Date.parse(query.from);
  if (from < 0 || to < 0) throw invalidField(from < 0 ? "from" : "to", "must not be before 1970");
  if (to > LAST_TIME) throw invalidField("to", "must not be after the year 9999");
  if (from >= to) throw invalidField("from", "must be before to");
  if (to - from > USAGE_RANGE_MAX_DAYS * DAY_MS) {
    throw invalidField("from", `must be at most ${USAGE_RANGE_MAX_DAYS} days before to`);
  }
  return { from, to };
}

export function usageTimes({ from, to }: UsageRange): { from: string; to: string } {
  return { from: toTimestamp(from), to: toTimestamp(to) };
}
