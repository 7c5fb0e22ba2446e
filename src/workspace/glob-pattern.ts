/** Globs over paths, as tools take them. */
import * as z from "zod";
import { PATTERN_MAX_CHARS } from "../protocol/limits.ts";
import { ANY, fitsPath, type Meter, type NamePattern, namePattern } from "./path-pattern.ts";

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
 * it is. A glob without a slash is matched against the file's name, in whichever folder it lies. What that costs is
 * counted in `meter`.
 */
export function createGlobMatcher(glob: string, meter: Meter = { steps: 0 }): (path: string) => boolean {
  const anywhere = !glob.includes("/");
  const patterns = (expandBraces(glob) ?? []).map((alternative) => {
    const segments = alternative.split("/").filter((segment) => segment !== "" && segment !== ".");
    if (anywhere) segments.unshift("**");
    // What lies in a folder is not the folder's own name.
    if (segments.at(-1) === "**") segments.push("*");
    return segments.map((segment) => (segment === "**" ? ANY : parseName(segment)));
  });
  return (path) => {
    const names = path.split("/");
    return patterns.some((pattern) => fitsPath(pattern, names, meter));
  };
}

/** A name of the glob, character by character. */
function parseName(name: string): NamePattern {
  const tokens = name.match(/\[[!^]?.[^\]]*\]|\*+|./gsu) ?? [];
  return namePattern(
    tokens.map((token) => {
      if (token.startsWith("*")) return ANY;
      if (token === "?") return () => true;
      return token.length > 1 && token.startsWith("[") ? parseSet(token) : token;
    }),
  );
}

/** `[a-c]` and the like. What is no valid set, such as `[c-a]`, fits nothing. */
function parseSet(set: string): (char: string) => boolean {
  const [, negated = "", members = ""] = /^\[([!^]?)(.+)\]$/su.exec(set) ?? [];
  try {
    const fitting = new RegExp(`^[${negated && "^"}${members.replace(/[\\\]^[]/g, "\\$&")}]$`, "u");
    return (char) => fitting.test(char);
  } catch {
    return () => false;
  }
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
