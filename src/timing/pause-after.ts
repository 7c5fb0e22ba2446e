/** The first pause is at most `firstMs` long, and each one twice the one before, up to `longestMs`. */
export type Pauses = { firstMs: number; longestMs: number };

/**
 * How long to pause before the next try, in milliseconds. Half of it is left to chance, so that many who failed
 * together do not come back together.
 *
 * @param failures how many tries had failed before the one that just did
 * @param random gives a number from 0 to 1
 */
export function pauseAfter(
  failures: number,
  { firstMs, longestMs }: Pauses,
  random: () => number = Math.random,
): number {
  return (Math.min(firstMs * 2 ** failures, longestMs) * (1 + random())) / 2;
}
