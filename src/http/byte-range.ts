import { GatewayError } from "../protocol/errors.ts";

export type ByteRange = { offset: number; length: number };

/** A range that lies beyond the file. The answer also names the file's size. */
export class RangeNotSatisfiable extends GatewayError {
  readonly size: number;

  constructor(size: number) {
    super("range_not_satisfiable", `The file has ${size} bytes.`);
    this.size = size;
  }
}

/**
 * One range of bytes of a `Range` header (RFC 9110, section 14.1.2); null for the whole file. Several ranges, other
 * units and what cannot be read count as no range.
 *
 * @throws RangeNotSatisfiable
 */
export function parseRange(header: string | undefined, size: number): ByteRange | null {
  const match = /^bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*$/i.exec(header ?? "");
  if (match === null) return null;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? null : lastBytes(Number(last), size);
  const offset = Number(first);
  if (last !== "" && Number(last) < offset) return null;
  if (offset >= size) throw new RangeNotSatisfiable(size);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  return { offset, length: end - offset };
}

function lastBytes(count: number, size: number): ByteRange {
  if (count === 0 || size === 0) throw new RangeNotSatisfiable(size);
  const length = Math.min(count, size);
  return { offset: size - length, length };
}
