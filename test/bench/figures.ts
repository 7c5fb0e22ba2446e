/** What one measurement found, beside the least that it can be. */
export type Figure = {
  title: string;
  /** Heads of the numbers in `rows`, each with its unit. */
  columns: string[];
  rows: Row[];
  results: Result[];
};

/** NaN stands where there is nothing to tell. */
export type Row = { name: string; values: number[] };

/** One line of the summary. `floor` is what the bare platform took in the same run, null where nothing is to compare. */
export type Result = {
  what: string;
  unit: string;
  floor: number | null;
  reached: number;
  /** Null: it is told, and nothing is promised. */
  target: Target | null;
};

/** What the promise is about: the number itself, or how far it is beyond the floor. */
export type Target = { of: "reached" | "beyond the floor"; atMost: number } | { of: "reached"; atLeast: number };

/** A result that stands by itself, and of which nothing is promised. */
export function reported(what: string, unit: string, reached: number): Result {
  return { what, unit, floor: null, reached, target: null };
}

/** Whether a result is what was promised; one without a promise always is. */
export function isMet({ floor, reached, target }: Result): boolean {
  if (target === null) return true;
  if ("atLeast" in target) return reached >= target.atLeast;
  return (target.of === "reached" ? reached : reached - (floor ?? 0)) <= target.atMost;
}

/** The value that so large a share of the samples does not exceed (nearest rank). @param samples at least one */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = Float64Array.from(samples).sort();
  const value = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1];
  if (value === undefined) throw new Error("There is nothing to sum up.");
  return value;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Samples in ms as a row of min, median and p90, after their number. */
export const TIME_COLUMNS = ["runs", "min ms", "median ms", "p90 ms"];

export function timeRow(name: string, samples: readonly number[]): Row {
  return { name, values: [samples.length, ...[0, 0.5, 0.9].map((share) => round(quantile(samples, share)))] };
}

/** To three significant digits, and no finer than a hundredth. */
export function round(value: number): number {
  if (Math.abs(value) >= 100) return Math.round(value);
  return Math.round(value * (Math.abs(value) >= 10 ? 10 : 100)) / (Math.abs(value) >= 10 ? 10 : 100);
}

/** A figure for a person at a terminal. */
export function tableOf({ title, columns, rows, results }: Figure): string {
  const lines = [["", ...columns], ...rows.map(({ name, values }) => [name, ...values.map(numberText)])];
  return [title, ...aligned(lines), ...results.map((result) => `${verdictOf(result)}: ${sentenceOf(result)}`)].join(
    "\n",
  );
}

/** The results of all figures as a table for README. */
export function summaryOf(figures: readonly Figure[]): string {
  const lines = figures.flatMap(({ results }) =>
    results.map(({ what, unit, floor, reached, target }) => {
      const cells = [
        what,
        target === null ? "reported" : targetText(target, unit),
        floor === null ? "" : `${numberText(round(floor))} ${unit}`,
        `${numberText(round(reached))} ${unit}`,
      ];
      return `| ${cells.map((cell) => cell.trim()).join(" | ")} |`;
    }),
  );
  return ["| figure | to reach | floor | reached |", "|---|---|---|---|", ...lines].join("\n");
}

function verdictOf(result: Result): string {
  if (result.target === null) return "reported";
  return isMet(result) ? "met" : "MISSED";
}

function sentenceOf({ what, unit, floor, reached, target }: Result): string {
  const beside = floor === null ? "" : `, floor ${numberText(round(floor))} ${unit}`;
  const promised = target === null ? "" : `, to reach: ${targetText(target, unit)}`;
  return `${what}: ${numberText(round(reached))} ${unit}${beside}${promised}`;
}

function targetText(target: Target, unit: string): string {
  if ("atLeast" in target) return `at least ${numberText(target.atLeast)} ${unit}`;
  return `at most ${numberText(target.atMost)} ${unit}${target.of === "reached" ? "" : " beyond the floor"}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "";
  return value.toLocaleString("en-US", { maximumFractionDigits: 4 });
}

function aligned(lines: string[][]): string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}
