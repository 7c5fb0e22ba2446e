import fc from "fast-check";

/** What shows nothing, or shows what is near it in another order: the first and the last of each range, written down here by hand. */
const RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x600, 0x605],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x2800, 0x2800],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x16fe4, 0x16fe4],
  [0x1bca0, 0x1bca3],
  [0x1d159, 0x1d159],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

/** All of them, but line feed and tab. */
export const HIDING_CHARACTERS: ReadonlySet<string> = new Set(
  RANGES.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
  ),
);

/** Texts that hide something, of which some begin or end with it, or are nothing else. */
export const hidingText = fc
  .array(
    fc.oneof(
      fc.constantFrom(...RANGES).chain(([first, last]) => fc.integer({ min: first, max: last })),
      fc.constantFrom(0x20, 0x41, 0xe9, 0x1f642),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((codePoints) => String.fromCodePoint(...codePoints));

/** What of a shown text nobody sees. */
export function hiddenIn(shown: string): string[] {
  return Array.from(shown).filter((char) => HIDING_CHARACTERS.has(char));
}
