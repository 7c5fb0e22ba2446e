import picomatch from "picomatch";
import { z } from "zod";
import { PATTERN_MAX_CHARS } from "../protocol/limits.ts";

/** A glob that is matched against paths relative to a folder of the workspace. */
export const globInput = z
  .string()
  .min(1)
  .max(PATTERN_MAX_CHARS)
  .refine(
    (glob) => !glob.startsWith("/") && !glob.split("/").includes(".."),
    'must be relative to the folder, without ".."',
  );

/** Tells which paths match. A glob without a slash is matched against the file's name, in whichever folder it lies. */
export function createGlobMatcher(glob: string): (path: string) => boolean {
  const matches = picomatch(glob, { basename: !glob.includes("/"), dot: true, noextglob: true, windows: false });
  return (path) => matches(path);
}
