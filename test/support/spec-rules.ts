/** The ids of the rules of `SPEC.md`, in their order. A rule is a line such as `- **LOG3.** Replay …`. */
export function rulesOf(spec: string): string[] {
  return [...spec.matchAll(/^- \*\*([A-Z]+[1-9][0-9]*)\.\*\* \S/gm)].map(([, id]) => id ?? "");
}

const CALL =
  /(?<![\w$.])(?:it|test)(?:\.(?:only|skip|fails|concurrent|sequential|todo))*\(\s*(["'`])((?:\\.|(?!\1).)*)\1/gs;
/** Of a table of tests the title is the string that opens the second pair of brackets. */
const TABLE = /(?<![\w$.])(?:it|test)(?:\.\w+)*\.(?:for|each)\(.*?\)\(\s*(["'`])((?:\\.|(?!\1).)*)\1/gs;

/** The titles of the tests in a source file, where they are written out. */
function titlesIn(source: string): string[] {
  return [...source.matchAll(CALL), ...source.matchAll(TABLE)].map(([, , title]) => title ?? "");
}

/**
 * The rules that each test of a source file names at the start of its title: `[LOG3] …`, `[LOG3] [CURSOR2] …` or
 * `[LOG3, CURSOR2] …`. Where a table fills them in, `[%s] …`, they are all strings of the file that look like an id.
 */
export function citationsIn(source: string): { title: string; rules: string[] }[] {
  return titlesIn(source).map((title) => ({
    title,
    rules: /^\[(%s|\$\{\w+\})\] /.test(title)
      ? [...source.matchAll(/"([A-Z]+[1-9][0-9]*)"/g)].map(([, id]) => id ?? "")
      : rulesNamedBy(title),
  }));
}

function rulesNamedBy(title: string): string[] {
  const head = /^(?:\[[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*\] ?)+/.exec(title)?.[0] ?? "";
  return head.match(/[A-Z]+[0-9]+/g) ?? [];
}
