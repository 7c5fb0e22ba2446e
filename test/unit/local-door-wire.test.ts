import fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader } from "../../src/local/door-wire.ts";
import { GatewayError } from "../../src/protocol/errors.ts";

/** The lines of a stream that comes in pieces, each cut off at one of the places. */
function read(bytes: Uint8Array, cuts: number[], maxBytes = 1_000_000): string[] {
  const reader = new LineReader(maxBytes);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).flatMap((end, i) => [...reader.take(bytes.subarray(places[i], end))]);
}

const line = fc.string({ unit: "binary" }).map((text) => text.replaceAll("\n", ""));
const cuts = fc.array(fc.nat());

test("[HOLD6] wherever a stream is cut, inside a character too, its lines are the same", () => {
  fc.assert(
    fc.property(fc.array(line), line, cuts, (lines, unfinished, at) => {
      const bytes = new TextEncoder().encode(lines.map((one) => `${one}\n`).join("") + unfinished);
      expect(read(bytes, at)).toEqual(lines);
    }),
  );
});

test("[HOLD9] wherever a stream is cut, a line has at most so many bytes, ended or not", () => {
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 0, max: 20 }), fc.boolean(), cuts, (lines, spare, ended, at) => {
      const text = lines.join("\n") + (ended ? "\n" : "");
      const longest = Math.max(...text.split("\n").map((one) => Buffer.byteLength(one)));
      const bytes = Buffer.from(text);
      expect(() => read(bytes, at, longest + spare)).not.toThrow();
      if (longest > 0) expect(() => read(bytes, at, longest - 1)).toThrow(GatewayError);
    }),
  );
});

test("[HOLD9] a line that is not UTF-8 is refused, and a byte order mark is a character", () => {
  expect(() => read(Uint8Array.of(0xc3, 0x0a), [])).toThrow("UTF-8");
  expect(read(Buffer.from("\ufeffa\n"), [])).toEqual(["\ufeffa"]);
});
