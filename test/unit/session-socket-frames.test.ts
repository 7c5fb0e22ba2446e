import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatewayError, invalidField } from "../../src/protocol/errors.ts";
import { controlFrame } from "../../src/protocol/frames.ts";
import { JSON_MAX_BYTES } from "../../src/protocol/limits.ts";
import { errorFrame, parseClientFrame } from "../../src/session/socket-frames.ts";

/** The answer to a message that is refused. */
function refusal(message: string | ArrayBuffer) {
  try {
    parseClientFrame(message);
  } catch (thrown) {
    return controlFrame.parse(errorFrame(thrown));
  }
  throw new Error("it was taken");
}
const json = (value: unknown) => JSON.stringify(value);

describe("a frame", () => {
  test.for([
    [{ type: "ping" }],
    [{ type: "ping", data: {}, id: 1 }],
    [{ type: "cancel", id: "a" }],
    [{ type: "ack", data: { cursor: "7~7.1" } }],
    [{ type: "execute", data: { user_input: "go", on_busy: "reject", idempotency_key: "k" }, id: "b" }],
  ])("[WS4] is taken: %j", ([frame]) => {
    expect(parseClientFrame(json(frame))).toEqual(frame);
  });

  test.for<[what: string, message: string | ArrayBuffer, code: string, id?: string | number]>([
    ["no JSON", "{", "invalid_request"],
    ["empty", "", "invalid_request"],
    ["binary", new ArrayBuffer(4), "invalid_request"],
    ["too large", json("x".repeat(JSON_MAX_BYTES)), "too_large"],
    ["too deep", "[".repeat(65) + "]".repeat(65), "invalid_request"],
    ["of no type", json({ id: "a" }), "invalid_request", "a"],
    ["of an unknown type", json({ type: "input_response", id: 7 }), "invalid_request", 7],
    ["with an unknown field", json({ type: "cancel", id: "a", now: true }), "invalid_request", "a"],
    [
      "with an unknown field inside",
      json({ type: "execute", data: { user_input: "a", b: 1 }, id: 0 }),
      "invalid_request",
      0,
    ],
    ["with a wrong type", json({ type: "ack", data: { cursor: 1 }, id: "a" }), "invalid_request", "a"],
    ["without what it needs", json({ type: "execute", id: "a" }), "invalid_request", "a"],
    [
      "with a value that is not yet known",
      json({ type: "execute", data: { user_input: "a", on_busy: "ask" } }),
      "invalid_request",
    ],
    ["with an id that is none", json({ type: "cancel", id: { a: 1 } }), "invalid_request"],
    ["with an id that is too long", json({ type: "cancel", id: "a".repeat(65) }), "invalid_request"],
    ["an array", "[]", "invalid_request"],
    ["null", "null", "invalid_request"],
  ])("[WS10] that is refused, %s, is told why, with its id if it has one", ([, message, code, id]) => {
    const answer = refusal(message);
    expect(answer).toEqual({
      type: "error",
      data: { code, message: expect.any(String) },
      ...(id === undefined ? {} : { id }),
    });
  });

  test.for([
    ["{", "This is not valid JSON."],
    [json({ type: "cancel", now: true }), 'The frame does not have the expected shape. Unrecognized key: "now"'],
    [
      json({ type: "ack", data: { cursor: "7", b: 1 } }),
      'The frame does not have the expected shape. data: Unrecognized key: "b"',
    ],
  ] as const)("[WS10] %s is told what is wrong with the frame", ([message, told]) => {
    expect(refusal(message)).toEqual({ type: "error", data: { code: "invalid_request", message: told } });
  });

  test("[WS10] is taken or refused with a frame, whatever it is", () => {
    const like = fc.record(
      { type: fc.constantFrom("execute", "ack", "cancel", "ping"), data: fc.jsonValue(), id: fc.jsonValue() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), like.map(json)), (message) => {
        try {
          parseClientFrame(message);
        } catch (thrown) {
          controlFrame.parse(errorFrame(thrown));
        }
      }),
    );
  });
});

describe("an error", () => {
  test("[WS6] [ERR4] has its code, the field at fault and the frame's id; what nobody foresaw says nothing", () => {
    const error = invalidField("data.a", "wrong");
    expect(errorFrame(error, "a")).toEqual({
      type: "error",
      data: { code: "invalid_request", message: "The request does not have the expected shape. data.a: wrong" },
      id: "a",
    });
    expect(errorFrame(new GatewayError("queue_full", "Full."))).toEqual({
      type: "error",
      data: { code: "queue_full", message: "Full." },
    });
    expect(json(errorFrame(new Error("secret"), 3))).not.toContain("secret");
  });
});
