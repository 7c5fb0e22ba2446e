/** One thing that was measured again and again, in milliseconds. */
export type Row = { name: string; runs: number; min_ms: number; median_ms: number; p90_ms: number };

/** What was found, and what the median of one row has to stay below. */
export type Figure = { title: string; rows: Row[]; target?: { row: string; median_below_ms: number } };

/** Sums up the measurements of a row. @param samples at least one, in milliseconds */
export function summarize(name: string, samples: readonly number[]): Row {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => round(sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN);
  return { name, runs: sorted.length, min_ms: at(0), median_ms: at(0.5), p90_ms: at(0.9) };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Whether a figure stayed below its target; one without a target always does. */
export function meetsTarget({ rows, target }: Figure): boolean {
  if (target === undefined) return true;
  return rows.some(({ name, median_ms }) => name === target.row && median_ms < target.median_below_ms);
}

/** A figure for a person at a terminal. */
export function tableOf(figure: Figure): string {
  const { title, rows, target } = figure;
  const head = ["", "runs", "min", "median", "p90"];
  const cells = rows.map(({ name, runs, min_ms, median_ms, p90_ms }) => [
    name,
    `${runs}`,
    ...[min_ms, median_ms, p90_ms].map((ms) => ms.toFixed(1)),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((line) => line[column]?.length ?? 0)));
  const lines = [head, ...cells].map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
  const verdict =
    target === undefined
      ? []
      : [
          `target for ${target.row}: a median below ${target.median_below_ms} ms: ${meetsTarget(figure) ? "met" : "MISSED"}`,
        ];
  return [`${title}, in ms`, ...lines, ...verdict].join("\n");
}
