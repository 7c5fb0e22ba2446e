/**
 * Patterns of paths, name by name and character by character, whatever language they were written in. The time to match
 * one is bounded by the pattern's length times the path's. Made here since a pattern that becomes a regular expression
 * backtracks: a library needed 24 s for `*a*a*a*a*b` and a name of 250 letters.
 */

/** Stands for any number of items: characters of a name, or names of a path. */
export const ANY = Symbol("any");

/** A character, or which ones may stand there. */
export type NameToken = string | ((char: string) => boolean) | typeof ANY;

export type NamePattern = {
  tokens: NameToken[];
  /** What a name that fits begins and ends with: most names are told by that alone. */
  start: string;
  end: string;
  /** Only this name fits, or any with that start and end. */
  kind: "plain" | "ends" | "mixed";
};

export type PathPattern = (NamePattern | typeof ANY)[];

/** Counts what matching costs, so that it can be ended. */
export type Meter = { steps: number };

export function namePattern(tokens: NameToken[]): NamePattern {
  const first = tokens.findIndex((token) => typeof token !== "string");
  const last = tokens.findLastIndex((token) => typeof token !== "string");
  const kind = first === -1 ? "plain" : first === last && tokens[first] === ANY ? "ends" : "mixed";
  return {
    tokens,
    start: tokens.slice(0, first === -1 ? undefined : first).join(""),
    end: tokens.slice(last + 1).join(""),
    kind,
  };
}

/** Whether the pattern fits the path as a whole. */
export function fitsPath(pattern: PathPattern, names: readonly string[], meter: Meter): boolean {
  return fitsWhole(pattern, names, (token, name) => fitsName(token, name, meter), meter);
}

export function fitsName({ tokens, start, end, kind }: NamePattern, name: string, meter: Meter): boolean {
  meter.steps++;
  if (kind === "plain") return name === start;
  if (!name.startsWith(start) || !name.endsWith(end)) return false;
  if (kind === "ends") return name.length >= start.length + end.length;
  return fitsWhole(tokens, [...name], fitsChar, meter);
}

const fitsChar = (token: string | ((char: string) => boolean), char: string) =>
  typeof token === "string" ? token === char : token(char);

/**
 * Whether the pattern fits all items from first to last. Where one `ANY` has been met, an earlier one need never be
 * looked at again, so going back to the last one suffices and the time stays bounded.
 */
function fitsWhole<Token, Item>(
  pattern: readonly (Token | typeof ANY)[],
  items: readonly Item[],
  fits: (token: Token, item: Item) => boolean,
  meter: Meter,
): boolean {
  let at = 0;
  let next = 0;
  let retry: { at: number; next: number } | null = null;
  for (let item = items[next]; item !== undefined; item = items[next]) {
    meter.steps++;
    const token = pattern[at];
    if (token === ANY) {
      at++;
      retry = { at, next };
    } else if (token !== undefined && fits(token, item)) {
      at++;
      next++;
    } else if (retry !== null) {
      retry.next++;
      ({ at, next } = retry);
    } else return false;
  }
  return pattern.slice(at).every((token) => token === ANY);
}
