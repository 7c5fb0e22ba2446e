import { readFileSync } from "node:fs";
import { keepFile } from "./keep-file.ts";

const MAX_LINES = 1_000;

/** The lines that were typed before, oldest first; none where they cannot be read. */
export function readHistory(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .slice(-MAX_LINES);
  } catch {
    return [];
  }
}

/**
 * Adds a line to those that were typed before, of which the newest are kept. What others added meanwhile stays. A
 * history that cannot be kept is no reason to fail.
 */
export function addToHistory(path: string, line: string): void {
  const lines = readHistory(path);
  if (lines.at(-1) === line) return;
  keepFile(path, `${[...lines, line].slice(-MAX_LINES).join("\n")}\n`);
}
