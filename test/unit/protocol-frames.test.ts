import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NO_USAGE } from "../../src/protocol/events.ts";
import {
  CLOSE_CODES,
  type ClientFrame,
  type ControlFrame,
  clientFrame,
  idempotencyKey,
  PING_FRAME,
  PONG_FRAME,
  serverFrame,
} from "../../src/protocol/frames.ts";

const SESSION = "session_01JD0000000000000000000000";
const TURN = "turn_01JD0000000000000000000001";

const CLIENT_FRAMES: ClientFrame[] = [
  { type: "execute", data: { user_input: "Hi" } },
  {
    type: "execute",
    data: {
      user_input: "Hi",
      force_complex: true,
      metadata: { a: 1 },
      max_iterations: 3,
      on_busy: "reject",
      idempotency_key: "k1",
    },
    id: "mine",
  },
  { type: "input_response", data: { input_id: "input_01JD0000000000000000000000", response: "allow" }, id: 2 },
  { type: "tool_result", data: { tool_use_id: "toolu_1", content: "x" } },
  { type: "tool_result", data: { tool_use_id: "toolu_1", content: "", is_error: true }, id: "result" },
  { type: "cancel", id: 1 },
  { type: "cancel", data: {} },
  { type: "cancel", data: { turn_id: TURN } },
  { type: "ack", data: { cursor: "17~9.120" } },
  { type: "ping" },
];

const CONTROL_FRAMES: ControlFrame[] = [
  {
    type: "connected",
    data: { session_id: SESSION, workspace_dir: `sessions/${SESSION}`, cursor: "17" },
    timestamp: "2026-01-31T12:00:00.000Z",
  },
  { type: "accepted", data: { turn_id: TURN, status: "queued" }, id: "mine" },
  {
    type: "query_complete",
    data: {
      turn_id: TURN,
      session_id: SESSION,
      status: "complete",
      response_text: "Hello",
      tool_calls: 1,
      work_products: ["work_products/a.txt"],
      usage: NO_USAGE,
      trace_id: "0".repeat(32),
      duration_seconds: 1,
      cursor: "20",
      pending_inputs: [],
    },
    id: 7,
  },
  { type: "error", data: { code: "invalid_request", message: "No." } },
  { type: "pong" },
];

describe.for(CLIENT_FRAMES)("%j", (frame) => {
  test("[WS4] a client frame of this shape is taken as it is", () => {
    expect(clientFrame.parse(frame)).toEqual(frame);
  });

  test("[WS10] with a field more it is refused", () => {
    expect(clientFrame.safeParse({ ...frame, extra: 1 }).success).toBe(false);
    expect(clientFrame.safeParse({ ...frame, data: { ...frame.data, extra: 1 } }).success).toBe(false);
  });
});

test.for<unknown>([
  null,
  [],
  "ping",
  {},
  { type: "steal" },
  { type: "execute" },
  { type: "execute", data: {} },
  { type: "execute", data: { user_input: 1 } },
  { type: "execute", data: { user_input: "Hi", max_iterations: 0 } },
  { type: "execute", data: { user_input: "Hi", max_iterations: 1.5 } },
  { type: "execute", data: { user_input: "Hi", idempotency_key: "" } },
  { type: "input_response", data: { input_id: "input_01JD0000000000000000000000" } },
  { type: "input_response", data: { input_id: "input_01JD0000000000000000000000", response: true } },
  { type: "tool_result", data: { tool_use_id: "toolu_1" } },
  { type: "tool_result", data: { tool_use_id: "toolu_1", content: "x", is_error: "no" } },
  { type: "ack", data: { cursor: 17 } },
  { type: "ping", id: {} },
  { type: "ping", id: "x".repeat(129) },
])("[WS10] %j is no client frame", (frame) => {
  expect(clientFrame.safeParse(frame).success).toBe(false);
});

test.for([
  { type: "subscribe", data: { types: ["TEXT"] } },
  { type: "input_request", data: { input_id: "input_01JD0000000000000000000000" } },
])("[REST17] %j comes with a later version, if at all", (frame) => {
  expect(clientFrame.safeParse(frame).success).toBe(false);
});

test.for(CONTROL_FRAMES)("[WS3] [WS4] [WS5] [WS10] %j is a server frame", (frame) => {
  expect(serverFrame.parse(frame)).toEqual(frame);
  expect(serverFrame.safeParse({ ...frame, extra: 1 }).success).toBe(false);
});

test("[WS8] the ping that wakes nobody is a frame like any other", () => {
  expect(clientFrame.parse(JSON.parse(PING_FRAME))).toEqual({ type: "ping" });
  expect(serverFrame.parse(JSON.parse(PONG_FRAME))).toEqual({ type: "pong" });
});

test("[WS13] [WS14] closing codes say why", () => {
  expect(CLOSE_CODES).toMatchObject({ deleted: 4010, too_far_behind: 1013 });
});

test("[IDEM6] any key of 1 to 255 visible ASCII characters is taken", () => {
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit: visible, minLength: 1, maxLength: 255 }), (key) => {
      expect(idempotencyKey.parse(key)).toBe(key);
    }),
  );
  expect(idempotencyKey.safeParse("k".repeat(255)).success).toBe(true);
});

test.for(["", " ", "a b", "a\n", "é", "\u007f", "k".repeat(256)])("[IDEM6] %j is no key", (key) => {
  expect(idempotencyKey.safeParse(key).success).toBe(false);
});
