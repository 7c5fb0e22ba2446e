import { expect, test } from "vitest";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { type DueTimes, nextWake } from "../../src/session/next-wake.ts";

const NOW = 10_000_000;
const NOTHING: DueTimes = {
  running: false,
  indexRetryAt: null,
  stageSweepAt: null,
  inputDeadline: null,
  leaseRetryAt: null,
  socketExpiry: null,
};

test.for<[rule: string, what: string, due: Partial<DueTimes>, expected: number | null]>([
  ["SESSION14", "nothing", {}, null],
  ["TURN20", "a turn", { running: true }, NOW + HEARTBEAT_MS],
  ["SESSION12", "an index row", { indexRetryAt: NOW + 5 }, NOW + 5],
  ["FILE9", "a sweep", { stageSweepAt: NOW + 5 }, NOW + 5],
  ["TURN20", "a turn before a sweep", { running: true, stageSweepAt: NOW + HEARTBEAT_MS + 1 }, NOW + HEARTBEAT_MS],
  ["ASK13", "a deadline", { inputDeadline: NOW + 5 }, NOW + 5],
  ["LIMIT7", "a place that could not be given back", { leaseRetryAt: NOW + 5 }, NOW + 5],
  ["TOKEN14", "the end of a token", { running: true, socketExpiry: NOW + 5 }, NOW + 5],
  ["SESSION12", "an index row before a turn", { running: true, indexRetryAt: NOW + 1_000 }, NOW + 1_000],
])("[%s] a session wakes for %s", ([, , due, expected]) => {
  expect(nextWake({ ...NOTHING, ...due }, NOW)).toBe(expected);
});
