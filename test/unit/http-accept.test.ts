import { expect, test } from "vitest";
import { acceptsEventStream } from "../../src/http/accept.ts";

test.each([
  ["text/event-stream", true],
  ["TEXT/EVENT-STREAM", true],
  ["text/event-stream, application/json", true],
  ["application/json, text/event-stream", false],
  ["application/json, text/event-stream;q=0.5", false],
  ["application/json;q=0.5, text/event-stream", true],
  ["text/event-stream;q=0", false],
  ["text/event-stream; charset=utf-8; q=0.2, */*", true],
  ["*/*", false],
  ["text/*", false],
  [undefined, false],
])("[SSE1] Accept: %s asks for an event stream: %s", (accept, asked) => {
  expect(acceptsEventStream(accept)).toBe(asked);
});
