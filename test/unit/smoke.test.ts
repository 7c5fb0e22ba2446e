import { expect, test } from "vitest";
import { formatCursor, parseCursor } from "../../src/protocol/cursors.ts";
import { traceIdOf } from "../../src/protocol/ids.ts";

test("trace", () => {
  expect(traceIdOf("turn_7ZZZZZZZZZZZZZZZZZZZZZZZZZ")).toBe("f".repeat(32));
  expect(formatCursor(parseCursor("8~6.10") ?? { seq: 0 })).toBe("8~6.10");
});
