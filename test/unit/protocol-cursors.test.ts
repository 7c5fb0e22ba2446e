import fc from "fast-check";
import { expect, test } from "vitest";
import { type Cursor, formatCursor, parseCursor, START } from "../../src/protocol/cursors.ts";

const HIGHEST = 999_999_999_999_999;

const cursor: fc.Arbitrary<Cursor> = fc.integer({ min: 1, max: HIGHEST }).chain((seq) =>
  fc.record(
    {
      seq: fc.constant(seq),
      block: fc.record({ seq: fc.integer({ min: 1, max: seq }), offset: fc.integer({ min: 0, max: HIGHEST }) }),
    },
    { requiredKeys: ["seq"] },
  ),
);

/** Strings that look like cursors, so that the property below meets both answers often. */
const almostCursor = fc.stringMatching(/^-?[0-9]{0,16}(~[0-9]{0,16}(\.[0-9]{0,16})?)?[ \n]?$/);

test("[CURSOR2] a cursor is the seq, with the open block and its offset where there is one", () => {
  expect(formatCursor({ seq: 17 })).toBe("17");
  expect(formatCursor({ seq: 17, block: { seq: 9, offset: 120 } })).toBe("17~9.120");
});

test("[CURSOR5] the position before the first event is 0", () => {
  expect(formatCursor(START)).toBe("0");
  expect(parseCursor("0")).toEqual(START);
});

test("[CURSOR2] any cursor is read back as it was written", () => {
  fc.assert(
    fc.property(cursor, (made) => {
      expect(parseCursor(formatCursor(made))).toEqual(made);
    }),
  );
});

test("[CURSOR6] any string is malformed or is the one spelling of a cursor", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), almostCursor), (text) => {
      const parsed = parseCursor(text);
      if (parsed !== null) expect(formatCursor(parsed)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});

test.for([
  "",
  " 1",
  "1\n",
  "+1",
  "-1",
  "01",
  "1e3",
  "0x1",
  "٣",
  "1000000000000000",
  "1~",
  "1~1",
  "1~1.",
  "1~1.-1",
  "1~01.0",
  "1.1",
])("[CURSOR6] %j is malformed", (text) => {
  expect(parseCursor(text)).toBeNull();
});

test("[CURSOR6] a block of the future or of no event is malformed", () => {
  expect(parseCursor("5~6.0")).toBeNull();
  expect(parseCursor("5~0.0")).toBeNull();
  expect(parseCursor("0~0.0")).toBeNull();
});

test("[CURSOR7] an offset far beyond any text is well-formed", () => {
  expect(parseCursor("5~5.999999999999999")).toEqual({ seq: 5, block: { seq: 5, offset: HIGHEST } });
});
