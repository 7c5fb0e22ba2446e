import { describe, expect, test } from "vitest";
import { EVENT_TYPES, type Event, endStatus, event, NO_USAGE } from "../../src/protocol/events.ts";

const SESSION = "session_01JD0000000000000000000000";
const TURN = "turn_01JD0000000000000000000001";
const INPUT = "input_01JD0000000000000000000002";
const envelope = { seq: 17, cursor: "17", turn_id: TURN, timestamp: "2026-01-31T12:00:00.000Z" };

/** One event of each type and, of STATUS, of each status, with the rule that lists its data. */
const SAMPLES: [rule: string, Event][] = [
  [
    "EVENT4",
    {
      ...envelope,
      type: "SESSION_INFO",
      data: { session_id: SESSION, user_id: "ada", workspace: `sessions/${SESSION}`, model: "demo" },
    },
  ],
  ["EVENT5", { ...envelope, type: "USER_INPUT", data: { text: "Hi", user_id: "ada", metadata: { a: [1, null] } } }],
  ["EVENT6", { ...envelope, type: "STATUS", data: { status: "queued", turn_id: TURN, text: "Hi", position: 1 } }],
  ["EVENT7", { ...envelope, type: "STATUS", data: { status: "processing", iteration: 1, path: "complex" } }],
  [
    "EVENT8",
    {
      ...envelope,
      type: "STATUS",
      data: { status: "retrying", attempt: 2, code: "overloaded_error", delay_seconds: 0.5, discard: [15, 16] },
    },
  ],
  ["EVENT9", { ...envelope, type: "STATUS", data: { status: "resumed", discard: [] } }],
  ["EVENT9", { ...envelope, type: "STATUS", data: { status: "steered", text: "Rather so." } }],
  [
    "EVENT9",
    { ...envelope, turn_id: null, type: "STATUS", data: { status: "file_changed", path: "a.txt", sha256: null } },
  ],
  ["EVENT9", { ...envelope, turn_id: null, type: "STATUS", data: { status: "deleted" } }],
  [
    "EVENT18",
    {
      ...envelope,
      type: "AUTH_REQUIRED",
      data: {
        input_id: INPUT,
        kind: "approval",
        message: "Allow write a.txt?",
        tool_use_id: "toolu_1",
        expires_at: "2026-02-07T12:00:00.000Z",
        default: "deny",
      },
    },
  ],
  [
    "EVENT18",
    {
      ...envelope,
      type: "AUTH_REQUIRED",
      data: {
        input_id: INPUT,
        kind: "question",
        message: "Which?",
        tool_use_id: "toolu_1",
        options: ["this", "that"],
        expires_at: "2026-02-07T12:00:00.000Z",
        default: null,
      },
    },
  ],
  ["EVENT19", { ...envelope, type: "STATUS", data: { status: "waiting", input_ids: [INPUT] } }],
  ["EVENT19", { ...envelope, type: "STATUS", data: { status: "waiting", input_ids: [], tool_use_ids: ["toolu_1"] } }],
  [
    "EVENT19",
    {
      ...envelope,
      type: "STATUS",
      data: { status: "answered", input_id: INPUT, response: "allow", user_id: "ada", via: "link" },
    },
  ],
  [
    "EVENT19",
    {
      ...envelope,
      type: "STATUS",
      data: { status: "answered", input_id: INPUT, response: null, user_id: null, via: "deadline" },
    },
  ],
  ["EVENT10", { ...envelope, type: "TEXT", data: { text: "Hello", offset: 0, done: false } }],
  ["EVENT10", { ...envelope, type: "TEXT", data: { text: "", offset: 5, done: true, citations: [{ url: "x" }] } }],
  ["EVENT10", { ...envelope, type: "THINKING", data: { thinking: "Hm", offset: 0, done: true } }],
  ["EVENT11", { ...envelope, type: "THINKING", data: { thinking: "", offset: 0, done: true, redacted: true } }],
  ["BLOCK7", { ...envelope, type: "TEXT", data: { text: "", offset: 0, done: true, discarded: true } }],
  ["BLOCK7", { ...envelope, type: "THINKING", data: { thinking: "", offset: 0, done: true, discarded: true } }],
  [
    "EVENT12",
    {
      ...envelope,
      type: "TOOL_CALL",
      data: { id: "toolu_1", name: "read", input: { path: "a.txt" }, executor: "gateway", time_offset: 1.25 },
    },
  ],
  [
    "EVENT13",
    {
      ...envelope,
      type: "TOOL_RESULT",
      data: {
        tool_use_id: "toolu_1",
        is_error: false,
        content_preview: "x",
        content_size: 1,
        duration_seconds: 0.01,
        time_offset: 1.26,
      },
    },
  ],
  [
    "EVENT15",
    {
      ...envelope,
      type: "WORK_PRODUCT",
      data: {
        path: "work_products/a b.txt",
        workspace_path: "work_products/a b.txt",
        size: 1,
        content_type: "text/plain",
        sha256: "0".repeat(64),
        url: `/api/v1/sessions/${SESSION}/files/work_products/a%20b.txt`,
      },
    },
  ],
  [
    "EVENT16",
    { ...envelope, type: "ERROR", data: { message: "No.", error: "No.", code: "cut", retryable: true, discard: [3] } },
  ],
  [
    "EVENT17",
    {
      ...envelope,
      type: "ITERATION_END",
      data: {
        status: "complete",
        stop_reason: "end_turn",
        stop_details: null,
        tool_calls: 0,
        duration_seconds: 2.5,
        usage: NO_USAGE,
        trace_id: "0".repeat(32),
      },
    },
  ],
];

test("[EVENT1] there is a sample of every type below", () => {
  expect(new Set(SAMPLES.map(([, sample]) => sample.type))).toEqual(new Set(EVENT_TYPES));
});

describe.for(SAMPLES)("%s", ([rule, sample]) => {
  test(`[${rule}] an event of this shape is taken as it is`, () => {
    expect(event.parse(sample)).toEqual(sample);
  });

  test("[EVENT1] with a field more in the envelope or in the data it is refused", () => {
    expect(event.safeParse({ ...sample, extra: 1 }).success).toBe(false);
    expect(event.safeParse({ ...sample, data: { ...sample.data, extra: 1 } }).success).toBe(false);
  });

  test("[EVENT1] without a field of the envelope it is refused", () => {
    for (const field of Object.keys(sample)) {
      const rest = Object.fromEntries(Object.entries(sample).filter(([name]) => name !== field));
      expect(event.safeParse(rest).success, field).toBe(false);
    }
  });
});

test("[LOG1] a seq counts from 1", () => {
  for (const seq of [0, -1, 1.5, "1", null]) {
    expect(event.safeParse({ ...envelope, seq, type: "STATUS", data: { status: "deleted" } }).success).toBe(false);
  }
});

test("[ID4] a timestamp is UTC with milliseconds", () => {
  const at = (timestamp: string) => ({ ...envelope, timestamp, type: "STATUS", data: { status: "deleted" } });
  expect(event.safeParse(at(new Date().toISOString())).success).toBe(true);
  for (const other of ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000+01:00", "2026-01-31 12:00:00.000Z", "now"]) {
    expect(event.safeParse(at(other)).success, other).toBe(false);
  }
});

test("[TURN2] these are the ends of a turn", () => {
  expect(endStatus.options).toEqual([
    "complete",
    "failed",
    "cancelled",
    "refused",
    "max_iterations",
    "budget_exceeded",
  ]);
});
