import type { UsageQuery } from "../../client/gateway.ts";
import { USAGE_RANGE_DAYS } from "../../protocol/limits.ts";
import { type UsageLine, type UsageReport, type UsageSums, usageGroup } from "../../protocol/usage.ts";
import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import type { OpenGateway } from "../open-gateway.ts";
import { jsonLine, sanitizeLine } from "../sanitize.ts";
import { table, timeOf } from "../table.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  from: { type: "string" },
  to: { type: "string" },
  by: { type: "string" },
  // As the gateway calls it.
  "group-by": { type: "string" },
  json: { type: "boolean" },
} as const;

const HELP = `Usage: turnpike usage [flags]

Shows what turns have used that ended in a time: model calls, tool calls, tokens, and what they cost where models have
prices (GATEWAY_PRICES). What was used stays in it when its session is deleted.

  --from D               from this day (2026-01-31, in UTC) or time on; without it, ${USAGE_RANGE_DAYS} days up to --to
  --to D                 up to this day or time, which is not in it; without it, up to now
  --by, --group-by WHAT  ${usageGroup.options.join(", ")} (day)
  --json                 print the report as JSON
${GATEWAY_FLAGS_HELP}`;

/** `turnpike usage`. Returns the exit code. @throws Failure */
export async function usage(args: string[]): Promise<number> {
  const { values } = parseFlags({ args, options: OPTIONS });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const asked = values.by ?? values["group-by"];
  const by = usageGroup.default("day").safeParse(asked);
  if (!by.success) throw usageFailure(`--by must be one of ${usageGroup.options.join(", ")}, not "${asked}".`);
  const query: UsageQuery = {
    group_by: by.data,
    ...(values.from === undefined ? {} : { from: values.from }),
    ...(values.to === undefined ? {} : { to: values.to }),
  };
  return await withGateway(gatewayFlagsOf(values), { holder: "turnpike usage" }, async (opened) => {
    const report = await readAll(opened, query);
    process.stdout.write(values.json ? jsonLine(report) : usageTable(report));
    return EXIT.complete;
  });
}

/** The whole report, over as many pages as it takes. */
async function readAll({ gateway }: OpenGateway, query: UsageQuery): Promise<UsageReport> {
  let report = await gateway.usage(query);
  while (report.next_cursor !== null) {
    // The range of the first page, whatever the time is by now.
    const { from, to, next_cursor: cursor } = report;
    const page = await gateway.usage({ ...query, from, to, cursor });
    report = { ...page, usage: [...report.usage, ...page.usage] };
  }
  return report;
}

/** The report as a person reads it. A column that says nothing is left out. */
export function usageTable({ from, to, group_by, usage, total }: UsageReport): string {
  const lines: UsageLine[] = [...usage, { key: "total", ...total }];
  const isCached = total.cache_read_input_tokens + total.cache_creation_input_tokens > 0;
  const columns: [head: string, cell: (sums: UsageSums) => string][] = [
    ["TURNS", ({ turns }) => count(turns)],
    ["MODEL CALLS", ({ model_calls }) => count(model_calls)],
    ["TOOL CALLS", ({ tool_calls }) => count(tool_calls)],
    ["INPUT", ({ input_tokens }) => count(input_tokens)],
    ["OUTPUT", ({ output_tokens }) => count(output_tokens)],
  ];
  if (isCached) {
    columns.push(
      ["CACHE READ", (sums) => count(sums.cache_read_input_tokens)],
      ["CACHE WRITTEN", (sums) => count(sums.cache_creation_input_tokens)],
    );
  }
  if (total.cost_usd !== null) columns.push(["COST", costOf]);
  const cells = columns.map(([head, cell]) => alignedRight([head, ...lines.map(cell)]));
  const rows = lines.map(({ key }, i) => [sanitizeLine(key), ...cells.map((column) => column[i + 1] ?? "")]);
  const heads = [group_by.toUpperCase(), ...cells.map((column) => column[0] ?? "")];
  const unpriced = total.cost_usd === null || total.unpriced_calls === 0;
  const note = unpriced ? "" : `+ there were model calls without a price, ${count(total.unpriced_calls)} in all\n`;
  return `${timeOf(from)} to ${timeOf(to)}\n${table(heads, rows)}${note}`;
}

function costOf({ cost_usd, unpriced_calls }: UsageSums): string {
  // What had no price is not in the sum.
  const more = unpriced_calls > 0 ? "+" : "";
  const digits = cost_usd !== null && cost_usd < 1 ? 4 : 2;
  const figure = cost_usd?.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return figure === undefined ? "" : `$${figure}${more}`;
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}

function alignedRight(cells: string[]): string[] {
  const width = Math.max(...cells.map((cell) => cell.length));
  return cells.map((cell) => cell.padStart(width));
}
