/**
 * Globs over paths. The time to match one is bounded by the pattern's length times the path's. Made here since a glob
 * that becomes a regular expression backtracks: a library needed 24 s for `*a*a*a*a*b` and a name of 250 letters.
 */
import { z } from "zod";
import { PATTERN_MAX_CHARS } from "../protocol/limits.ts";

/** What the braces of one glob may come to. */
const ALTERNATIVES_MAX = 100;

/** A glob that is matched against paths relative to a folder of the workspace; in NFC, as they are. */
export const globInput = z
  .string()
  .normalize("NFC")
  .min(1)
  .max(PATTERN_MAX_CHARS)
  .refine(
    (glob) => !glob.startsWith("/") && !glob.split("/").includes(".."),
    'must be relative to the folder, without ".."',
  )
  .refine((glob) => expandBraces(glob) !== null, `the braces come to more than ${ALTERNATIVES_MAX} alternatives`);

/**
 * Tells which paths match. `*` stands for anything within a name, `?` for one character, `[a-z]` and `[!a-z]` for one
 * of a set, `**` between slashes for any number of folders, `{a,b}` for either. Whatever else stands there is meant as
 * it is. A glob without a slash is matched against the file's name, in whichever folder it lies.
 */
export function createGlobMatcher(glob: string): (path: string) => boolean {
  const anywhere = !glob.includes("/");
  const patterns = (expandBraces(glob) ?? []).map((alternative) => {
    const segments = alternative.split("/").filter((segment) => segment !== "" && segment !== ".");
    if (anywhere) segments.unshift("**");
    // What lies in a folder is not the folder's own name.
    if (segments.at(-1) === "**") segments.push("*");
    return segments.map((segment) => (segment === "**" ? ANY : parseName(segment)));
  });
  return (path) => {
    const names = path.split("/").map((name) => [...name]);
    return patterns.some((pattern) => fitsWhole(pattern, names, (tokens, name) => fitsWhole(tokens, name, fitsChar)));
  };
}

/** Stands for any number of items: `*` within a name, `**` among folders. */
const ANY = Symbol("any");

type NameToken = string | RegExp;

const fitsChar = (token: NameToken, char: string) => (typeof token === "string" ? token === char : token.test(char));

/** A name of the pattern, character by character; what is no plain character is a regular expression for one. */
function parseName(name: string): (NameToken | typeof ANY)[] {
  const tokens = name.match(/\[[!^]?.[^\]]*\]|\*+|./gsu) ?? [];
  return tokens.map((token) => {
    if (token.startsWith("*")) return ANY;
    if (token === "?") return /^.$/su;
    return token.length > 1 && token.startsWith("[") ? parseSet(token) : token;
  });
}

/** `[a-c]` and the like. What is no valid set, such as `[c-a]`, fits nothing. */
function parseSet(set: string): RegExp {
  const [, negated = "", members = ""] = /^\[([!^]?)(.+)\]$/su.exec(set) ?? [];
  try {
    return new RegExp(`^[${negated && "^"}${members.replace(/[\\\]^[]/g, "\\$&")}]$`, "u");
  } catch {
    return /^(?!)/;
  }
}

/**
 * Whether the pattern fits all items from first to last. Where one `ANY` has been met, an earlier one need never be
 * looked at again, so going back to the last one suffices and the time stays bounded.
 */
function fitsWhole<Token, Item>(
  pattern: (Token | typeof ANY)[],
  items: Item[],
  fits: (token: Token, item: Item) => boolean,
): boolean {
  let at = 0;
  let next = 0;
  let retry: { at: number; next: number } | null = null;
  for (let item = items[next]; item !== undefined; item = items[next]) {
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

/** The globs without braces that a glob with braces stands for; null if they are too many. */
function expandBraces(glob: string): string[] | null {
  const done: string[] = [];
  const open = [glob];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const alternatives = expandFirst(next);
    if (alternatives === null) done.push(next);
    else open.push(...alternatives);
    if (done.length + open.length > ALTERNATIVES_MAX) return null;
  }
  return done;
}

/** Takes the first innermost `{…,…}` apart; null where there is none. Braces without a comma are plain characters. */
function expandFirst(glob: string): string[] | null {
  const found = /\{([^{}]*,[^{}]*)\}/su.exec(glob);
  if (found === null) return null;
  const [braces, inner = ""] = found;
  const [before, after] = [glob.slice(0, found.index), glob.slice(found.index + braces.length)];
  return inner.split(",").map((alternative) => `${before}${alternative}${after}`);
}
