import fc from "fast-check";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { sessionId, traceIdOf, turnId } from "../../src/protocol/ids.ts";

const ULID = "01JD0000000000000000000000";

test("[ID1] an id is its kind and a ULID", () => {
  expect(sessionId.safeParse(`session_${ulid()}`).success).toBe(true);
  expect(turnId.safeParse(`turn_${ulid()}`).success).toBe(true);
});

test.for([
  "",
  "session_",
  ULID,
  `turn_${ULID}`,
  `Session_${ULID}`,
  `session_${ULID.toLowerCase()}`,
  `session_${ULID}0`,
  `session_${ULID.slice(1)}`,
  `session_8${ULID.slice(1)}`,
  `session_${ULID.slice(1)}U`,
  `session_${ULID}\n`,
  ` session_${ULID}`,
  `session_${ULID}/../session_${ULID}`,
])("[ID2] %j is no session id", (text) => {
  expect(sessionId.safeParse(text).success).toBe(false);
});

test("[ID6] a trace id is the bits of the turn id in hex", () => {
  expect(traceIdOf("turn_00000000000000000000000000")).toBe("0".repeat(32));
  expect(traceIdOf("turn_00000000000000000000000001")).toBe(`${"0".repeat(31)}1`);
  expect(traceIdOf("turn_0000000000000000000000000Z")).toBe(`${"0".repeat(30)}1f`);
  expect(traceIdOf("turn_7ZZZZZZZZZZZZZZZZZZZZZZZZZ")).toBe("f".repeat(32));
});

test("[ID6] any trace id is 32 lower-case hex digits and says which turn it is of", () => {
  fc.assert(
    fc.property(fc.ulid(), (turn) => {
      const id = traceIdOf(`turn_${turn}`);
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      expect(toUlid(BigInt(`0x${id}`))).toBe(turn);
    }),
  );
});

/** 128 bits in Crockford's base 32, whose digits leave out I, L, O and U. */
function toUlid(bits: bigint): string {
  const digits = bits.toString(32).padStart(26, "0");
  return Array.from(digits, (digit) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".charAt(Number.parseInt(digit, 32))).join("");
}
