import { ToolError } from "../engine/ports.ts";
import { GREP_LINE_MAX_CHARS } from "../protocol/limits.ts";

export type LineFinder = {
  /** Where in the line the pattern is first found, as an index in UTF-16 code units; -1 where it is not. */
  find(line: string): number;
  /** Whether the line is so long that only its beginning is looked at. */
  cuts(line: string): boolean;
};

/** @throws ToolError for a regular expression that is not valid or that could run for ever */
export function createLineFinder(pattern: string, options: { literal: boolean; ignoreCase: boolean }): LineFinder {
  const flags = options.ignoreCase ? "i" : "";
  if (options.literal) {
    const literal = new RegExp(RegExp.escape(pattern), `u${flags}`);
    return { find: (line) => line.search(literal), cuts: () => false };
  }
  const regExp = compile(pattern, flags);
  if (mayRunForEver(pattern)) {
    throw new ToolError(
      "The pattern repeats a group that itself holds a repetition or alternatives, as in (a+)+ or (a|b)*. Such a search " +
        "can take for ever. Repeat something simpler, such as a character class, or leave the outer repetition out.",
    );
  }
  return {
    find: (line) => line.slice(0, GREP_LINE_MAX_CHARS).search(regExp),
    cuts: (line) => line.length > GREP_LINE_MAX_CHARS,
  };
}

/** With `u` first, which knows `\p{…}`; without it where the pattern has escapes that `u` forbids. */
function compile(pattern: string, flags: string): RegExp {
  try {
    return new RegExp(pattern, `u${flags}`);
  } catch {
    try {
      return new RegExp(pattern, flags);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : "not valid";
      throw new ToolError(`${why}. The pattern is a JavaScript regular expression; literal: true searches plain text.`);
    }
  }
}

/** From this many repetitions on, a bounded one counts as unbounded. */
const MANY = 10;

/**
 * Whether a group that can match in several ways is repeated without bound, which is how backtracking comes to take
 * time exponential in the line. Errs towards yes: most such patterns can be written more simply.
 */
function mayRunForEver(pattern: string): boolean {
  const tokens = /\\.|\[(?:\\.|[^\]\\])*\]|\{\d+(?:,\d*)?\}|./gsu;
  /** For each group that is open, the pattern itself first: whether what it holds can match in several ways. */
  const open = [false];
  const markAmbiguous = () => open.splice(-1, 1, true);
  let closedAmbiguous = false;
  for (const [token] of pattern.matchAll(tokens)) {
    const repeatable = closedAmbiguous;
    closedAmbiguous = false;
    if (token === "(") open.push(false);
    else if (token === ")") {
      closedAmbiguous = open.pop() ?? false;
      if (closedAmbiguous) markAmbiguous();
    } else if (token === "|") markAmbiguous();
    else if (isUnbounded(token)) {
      if (repeatable) return true;
      markAmbiguous();
    }
  }
  return false;
}

function isUnbounded(token: string): boolean {
  if (token === "*" || token === "+") return true;
  const bounds = /^\{(\d+)(,?)(\d*)\}$/.exec(token);
  if (bounds === null) return false;
  const [, min, comma, max] = bounds;
  return (comma === "," && max === "") || Number(max || min) > MANY;
}
