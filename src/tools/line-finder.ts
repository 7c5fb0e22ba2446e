export type LineFinder = {
  /** Where in the line the pattern is first found, as an index in UTF-16 code units; -1 where it is not. */
  find(line: string): number;
  /** What a character may cost at worst, in steps. */
  stepsPerChar: number;
};

/**
 * Regular expressions are RE2's (https://github.com/google/re2/wiki/Syntax), which need time in proportion to the
 * line. Those of JavaScript go back, and nothing can stop one that takes minutes for a line.
 *
 * @throws ToolError for what is no regular expression of RE2's
 */
export async function createLineFinder(
  pattern: string,
  options: { literal: boolean; ignoreCase: boolean },
): Promise<LineFinder> {
  if (options.literal) {
    const literal = new RegExp(pattern.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), options.ignoreCase ? "ui" : "u");
    return { find: (line) => line.search(literal), stepsPerChar: 1 };
  }
  // Its tables of characters are a fifth of the Worker, and no start needs them.
  const { compileRe2 } = await import("./compile-re2.ts");
  const regExp = compileRe2(pattern, options.ignoreCase);
  return {
    find(line) {
      // To tell whether a line matches is far quicker than to find where.
      if (!regExp.test(line)) return -1;
      const matcher = regExp.matcher(line);
      return matcher.find() ? matcher.start() : -1;
    },
    stepsPerChar: regExp.programSize(),
  };
}
