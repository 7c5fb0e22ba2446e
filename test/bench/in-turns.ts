/**
 * Measures every target once a round, one after the other, so that what else the machine does falls on all of them.
 *
 * @param options `rounds`: how many count. `warmUp`: how many come before, and do not
 * @returns what was found of each target, round by round
 */
export async function inTurns<Target, Found>(
  targets: readonly Target[],
  { rounds, warmUp }: { rounds: number; warmUp: number },
  measure: (target: Target) => Promise<Found>,
): Promise<Found[][]> {
  const found = targets.map((): Found[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [index, target] of targets.entries()) {
      const one = await measure(target);
      if (round >= 0) found[index]?.push(one);
    }
  }
  return found;
}
