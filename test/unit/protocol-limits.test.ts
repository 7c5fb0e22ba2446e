import { expect, test } from "vitest";
import * as limits from "../../src/protocol/limits.ts";

// The figures that the rules promise are written out here once more, so that a limit cannot move without its rule.

test("[EVENT14] [TOOL10] [TOOL11] [TOOL12] limits of a tool call", () => {
  expect(limits.PREVIEW_MAX_CHARS).toBe(2_500);
  expect(limits.TOOL_FILE_MAX_BYTES).toBe(8 * 1024 ** 2);
  expect(limits.TOOL_RESULT_MAX_CHARS).toBe(300_000);
  expect(limits.TOOL_TIMEOUT_MS).toBe(120_000);
});

test("[GUARD4] [FILE4] limits of a file", () => {
  expect(limits.PATH_MAX_BYTES).toBe(512);
  expect(limits.FILE_MAX_BYTES).toBe(32 * 1024 ** 2);
});

test("[TURN11] [REST6] [REST12] [WAIT1] [SESSION5] defaults and limits of requests", () => {
  expect(limits.MAX_ITERATIONS_DEFAULT).toBe(20);
  expect([limits.PAGE_DEFAULT, limits.PAGE_MAX]).toEqual([50, 200]);
  expect([limits.EVENTS_PAGE_DEFAULT, limits.EVENTS_PAGE_MAX]).toEqual([100, 1_000]);
  expect(limits.QUEUE_MAX_TURNS).toBe(100);
  expect(limits.WAIT_MAX_SECONDS).toBe(300);
  expect(limits.DERIVED_TITLE_CHARS).toBe(80);
  expect(limits.IDEMPOTENCY_TTL_MS).toBe(24 * 60 * 60 * 1_000);
});

test("[MODEL6] [MODEL11] [MODEL32] [MODEL33] [BLOCK10] [SSE3] times", () => {
  expect(limits.MODEL_FIRST_EVENT_TIMEOUT_MS).toBe(120_000);
  expect(limits.MODEL_PROGRESS_TIMEOUT_MS).toBe(600_000);
  expect(limits.MODEL_CALL_TIMEOUT_MS).toBe(7_200_000);
  expect(limits.MODEL_RETRY_AFTER_MAX_MS).toBe(900_000);
  expect(limits.MODEL_NEXT_EVENT_TIMEOUT_MS).toBe(90_000);
  expect(limits.FRAME_INTERVAL_MS).toBe(4);
  expect(limits.SSE_COMMENT_INTERVAL_MS).toBe(15_000);
});

test("[TOKEN7] [TOKEN11] how long a revoked token is believed, and how soon others are told", () => {
  expect(limits.TOKEN_CACHE_MS).toBe(30_000);
  expect(limits.REVOCATION_LOOK_MS).toBe(30_000);
});

test("[WS14] our own clients acknowledge well before a socket counts as too far behind", () => {
  expect(limits.UNACKED_MAX_BYTES).toBe(4 * 1024 ** 2);
  expect(limits.NEVER_ACKED_MAX_BYTES).toBe(32 * 1024 ** 2);
  expect(limits.ACK_EVERY_BYTES * 4).toBeLessThanOrEqual(limits.UNACKED_MAX_BYTES);
});

test("[TOOL11] the longest result of a tool fits into a row as JSON, whatever its characters", () => {
  expect(JSON.stringify("\u0000").length - 2).toBe(6);
  expect(limits.TOOL_RESULT_MAX_CHARS * 6).toBeLessThan(limits.ROW_MAX_BYTES);
  expect(limits.JSON_MAX_BYTES).toBeLessThan(limits.ROW_MAX_BYTES);
});
