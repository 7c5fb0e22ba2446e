/** The table of what was used, and what is asked of it: in SQL that D1 and a machine's own list of sessions both take. */
import * as z from "zod";
import { formatPageCursor, parsePageCursor } from "./page-cursor.ts";
import {
  type TurnUsage,
  type UsageGroup,
  type UsageLine,
  type UsageRange,
  type UsageReport,
  type UsageSums,
  usageTimes,
} from "./usage.ts";

/** Stores rows that come as one JSON array. One that is stored already changes nothing, and writes nothing. */
export const STORE_USAGE = `INSERT INTO usage (user_id, ended_at, turn_id, model, session_id, model_calls, tool_calls,
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd)
  SELECT value ->> 'user_id', value ->> 'ended_at', value ->> 'turn_id', value ->> 'model', value ->> 'session_id',
    value ->> 'model_calls', value ->> 'tool_calls', value ->> 'input_tokens', value ->> 'output_tokens',
    value ->> 'cache_read_input_tokens', value ->> 'cache_creation_input_tokens', value ->> 'cost_usd'
  FROM json_each(?) WHERE true
  ON CONFLICT DO NOTHING`;

/** The parameter of `STORE_USAGE`. */
export function usageParameter(rows: readonly TurnUsage[]): string {
  return JSON.stringify(rows);
}

/** `user_id` null means everyone's. */
export type UsageQuery = UsageRange & {
  group_by: UsageGroup;
  user_id: string | null;
  /** Groups a page. */
  limit: number;
  cursor: string | null;
};

export type Statement = { query: string; params: (string | number)[] };

const KEYS: Record<UsageGroup, string> = {
  day: "date(usage.ended_at / 1000, 'unixepoch')",
  user: "usage.user_id",
  model: "usage.model",
  session: "usage.session_id",
};

const SUMS = `COUNT(DISTINCT usage.turn_id) AS turns,
  COALESCE(SUM(usage.model_calls), 0) AS model_calls,
  COALESCE(SUM(usage.tool_calls), 0) AS tool_calls,
  COALESCE(SUM(usage.input_tokens), 0) AS input_tokens,
  COALESCE(SUM(usage.output_tokens), 0) AS output_tokens,
  COALESCE(SUM(usage.cache_read_input_tokens), 0) AS cache_read_input_tokens,
  COALESCE(SUM(usage.cache_creation_input_tokens), 0) AS cache_creation_input_tokens,
  SUM(usage.cost_usd) AS cost_usd,
  COALESCE(SUM(usage.model_calls) FILTER (WHERE usage.cost_usd IS NULL), 0) AS unpriced_calls`;

/** Jumps from user to user in the primary key, so that a range of everyone's needs no index by time of its own. */
const EVERYONE = `WITH RECURSIVE users (user_id) AS (
    SELECT MIN(user_id) FROM usage
    UNION ALL
    SELECT (SELECT MIN(usage.user_id) FROM usage WHERE usage.user_id > users.user_id)
    FROM users WHERE users.user_id IS NOT NULL
  )`;

/**
 * What answers a query: the groups of a page, one more if there is, and the sum of all.
 *
 * @throws GatewayError `bad_cursor`
 */
export function usageStatements(asked: UsageQuery): { groups: Statement; total: Statement } {
  const { user_id, from, to, group_by, limit, cursor } = asked;
  const key = KEYS[group_by];
  const prefix = user_id === null ? `${EVERYONE} ` : "";
  const source = user_id === null ? "users CROSS JOIN usage ON usage.user_id = users.user_id" : "usage";
  const where = [...(user_id === null ? [] : ["usage.user_id = ?"]), "usage.ended_at >= ?", "usage.ended_at < ?"];
  const params = [...(user_id === null ? [] : [user_id]), from, to];
  const rest = `FROM ${source} WHERE ${where.join(" AND ")}`;
  const after = cursor === null ? [] : parsePageCursor(cursor, z.tuple([z.string()]));
  return {
    groups: {
      query: `${prefix}SELECT ${key} AS key, ${SUMS} ${rest}${after.length === 0 ? "" : ` AND ${key} > ?`}
        GROUP BY 1 ORDER BY 1 LIMIT ?`,
      params: [...params, ...after, limit + 1],
    },
    total: { query: `${prefix}SELECT ${SUMS} ${rest}`, params },
  };
}

/** The report, from the rows that the statements gave. */
export function toUsageReport(asked: UsageQuery, groups: UsageLine[], total: UsageSums): UsageReport {
  const usage = groups.slice(0, asked.limit).map(rounded);
  const last = groups.length > asked.limit ? usage.at(-1) : undefined;
  return {
    ...usageTimes(asked),
    group_by: asked.group_by,
    usage,
    total: rounded(total),
    next_cursor: last === undefined ? null : formatPageCursor([last.key]),
  };
}

/** Without what adding fractions leaves at their ends, which depends on the order. */
function rounded<T extends UsageSums>(sums: T): T {
  const { cost_usd } = sums;
  return { ...sums, cost_usd: cost_usd === null ? null : Math.round(cost_usd * 1e12) / 1e12 };
}
