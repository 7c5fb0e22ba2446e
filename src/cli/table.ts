/** Rows under their heads, each column as wide as it must be. The last one is not filled up. */
export function table(heads: string[], rows: string[][]): string {
  const all = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return all.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** A time of the contract to the second: `2026-01-31 12:00:00Z`. */
export function timeOf(timestamp: string): string {
  return timestamp.replace(/^(\S+)T(\d\d:\d\d:\d\d).*$/, "$1 $2Z");
}
