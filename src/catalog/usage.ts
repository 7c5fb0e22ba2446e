import * as z from "zod";
import { type UsageReport, usageLine, usageSums } from "../protocol/usage.ts";
import { type Statement, toUsageReport, type UsageQuery, usageStatements } from "../protocol/usage-query.ts";

const lines = z.array(usageLine);
const oneSum = z.tuple([usageSums]);

/**
 * What was used, grouped as the query asks for.
 *
 * @throws GatewayError `bad_cursor`
 */
export async function readUsage(db: D1Database, asked: UsageQuery): Promise<UsageReport> {
  const { groups, total } = usageStatements(asked);
  const prepare = ({ query, params }: Statement) => db.prepare(query).bind(...params);
  // One transaction, so that the groups and their total are of one moment.
  const [found, sums] = await db.batch([prepare(groups), prepare(total)]);
  const [sum] = oneSum.parse(sums?.results);
  return toUsageReport(asked, lines.parse(found?.results), sum);
}
