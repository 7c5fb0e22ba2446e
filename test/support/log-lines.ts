import { onTestFinished } from "vitest";
import { type LogLine, writeLinesTo } from "../../src/logging/log.ts";

/** The lines that the gateway writes from now on, until the test is over; they go nowhere else. */
export function catchLines(): LogLine[] {
  const lines: LogLine[] = [];
  const before = writeLinesTo((line) => void lines.push(line));
  onTestFinished(() => void writeLinesTo(before));
  return lines;
}
