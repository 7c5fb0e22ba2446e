/**
 * The lines of a `.gitignore`, as git reads them (https://git-scm.com/docs/gitignore). Where git looks at bytes this
 * looks at characters, so that `?` is one letter, accent and all.
 */
import { ANY, fitsName, fitsPath, type Meter, type NameToken, namePattern, type PathPattern } from "./path-pattern.ts";

export type IgnoreRule = {
  /** It takes back what an earlier line ignored. */
  isNegated: boolean;
  isForFolders: boolean;
  /** It is about the name alone, at any depth; else about the path from the folder of the `.gitignore`. */
  isForNames: boolean;
  pattern: PathPattern;
};

/** The rules of a `.gitignore`, in its order. What can fit nothing is left out. */
export function parseIgnoreFile(text: string): IgnoreRule[] {
  return text
    .replace(/^\ufeff/, "")
    .normalize("NFC")
    .split("\n")
    .flatMap((line) => parseLine(line.replace(/\r$/, "")) ?? []);
}

/** Whether a rule is about a file or folder; `names` lead to it from the folder of the `.gitignore`. */
export function fitsRule(rule: IgnoreRule, names: readonly string[], isFolder: boolean, meter: Meter): boolean {
  if (rule.isForFolders && !isFolder) return false;
  if (!rule.isForNames) return fitsPath(rule.pattern, names, meter);
  const pattern = rule.pattern[0];
  return pattern !== undefined && (pattern === ANY || fitsName(pattern, names.at(-1) ?? "", meter));
}

function parseLine(line: string): IgnoreRule | null {
  if (line.startsWith("#")) return null;
  let text = trimSpaces(line);
  const isNegated = text.startsWith("!");
  if (isNegated) text = text.slice(1);
  const isForFolders = text.endsWith("/");
  if (isForFolders) text = text.slice(0, -1);
  if (text === "") return null;
  const isForNames = !text.includes("/");
  const pattern = parsePattern(text.startsWith("/") ? text.slice(1) : text);
  return pattern && { isNegated, isForFolders, isForNames, pattern };
}

/** Without the spaces at the end, but for one after a backslash. By hand: `/ *$/` takes the square of the spaces. */
function trimSpaces(line: string): string {
  let end = line.length;
  while (line[end - 1] === " ") end--;
  let backslashes = 0;
  while (line[end - 1 - backslashes] === "\\") backslashes++;
  return line.slice(0, end + (backslashes % 2));
}

/** Null for what can fit nothing: a set that has no end, or a backslash with nothing after it. */
function parsePattern(text: string): PathPattern | null {
  const chars = [...text];
  const names: NameToken[][] = [];
  let name: NameToken[] = [];
  for (let i = 0; i < chars.length; i++) {
    let char = chars[i];
    const isEscaped = char === "\\";
    if (isEscaped) char = chars[++i];
    if (char === undefined) return null;
    if (char === "/") {
      names.push(name);
      name = [];
    } else if (isEscaped) name.push(char);
    else if (char === "*") name.push(ANY);
    else if (char === "?") name.push(() => true);
    else if (char === "[") {
      const set = parseSet(chars, i + 1);
      if (set === null) return null;
      name.push(set.fits);
      i = set.end;
    } else name.push(char);
  }
  names.push(name);
  const pattern = names.map((tokens) => (isFolders(tokens) ? ANY : namePattern(tokens)));
  // What lies in a folder is not the folder itself.
  return names.length > 1 && pattern.at(-1) === ANY ? [...pattern, namePattern([ANY])] : pattern;
}

/** `**` on its own stands for any folders, within a name for the same as `*`. */
function isFolders(tokens: NameToken[]): boolean {
  return tokens.length > 1 && tokens.every((token) => token === ANY);
}

const CLASSES = new Map([
  ["alnum", "0-9A-Za-z"],
  ["alpha", "A-Za-z"],
  ["blank", "\\t "],
  ["cntrl", "\\0-\\x1f\\x7f"],
  ["digit", "0-9"],
  ["graph", "!-~"],
  ["lower", "a-z"],
  ["print", " -~"],
  ["punct", "!-\\/:-@\\[-`\\{-~"],
  ["space", "\\t\\n\\r "],
  ["upper", "A-Z"],
  ["xdigit", "0-9A-Fa-f"],
]);

/** A set such as `[a-c]`, `[!a]` or `[[:digit:]]`, from after its first bracket. Null where it is none. */
function parseSet(chars: string[], start: number): { fits: (char: string) => boolean; end: number } | null {
  const isNegated = chars[start] === "!" || chars[start] === "^";
  const members: string[] = [];
  /** What a range may begin with. */
  let first: string | null = null;
  let bracket = -1;
  let i = isNegated ? start + 1 : start;
  // The first member may be a bracket that would else end the set.
  do {
    const char = chars[i];
    if (char === "[" && chars[i + 1] === ":") {
      if (bracket < i + 2) bracket = chars.indexOf("]", i + 2);
      if (bracket === -1) return null;
      if (bracket > i + 2 && chars[bracket - 1] === ":") {
        const ofClass = CLASSES.get(chars.slice(i + 2, bracket - 1).join(""));
        if (ofClass === undefined) return null;
        members.push(ofClass);
        first = null;
        i = bracket + 1;
        continue;
      }
    }
    const isRange: boolean = char === "-" && first !== null && chars[i + 1] !== undefined && chars[i + 1] !== "]";
    if (isRange) i++;
    if (chars[i] === "\\") i++;
    const member = chars[i];
    if (member === undefined) return null;
    i++;
    if (isRange && first !== null) {
      if (first <= member) members.push(`${escapeMember(first)}-${escapeMember(member)}`);
      first = null;
    } else {
      members.push(escapeMember(member));
      first = member;
    }
  } while (chars[i] !== "]");
  const fitting = new RegExp(`^[${isNegated ? "^" : ""}${members.join("")}]$`, "u");
  return { fits: (char) => fitting.test(char), end: i };
}

function escapeMember(char: string): string {
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}
