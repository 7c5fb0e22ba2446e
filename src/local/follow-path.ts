import { leadsOutside, reservedName } from "./directory-error.ts";
import type { Found, HeldFolders } from "./held-folders.ts";

/** Where a path leads. `found` is null where nothing stands under `name` in the innermost of the held folders. */
export type Place = { name: string; found: Found | null };

/** As many links as a path may go over, before it is taken for a circle. */
const LINKS_MAX = 40;

const TEMPORARY = ".turnpike-tmp-";

/** The name of a file that is not yet what it will be. */
export function temporaryName(id: string): string {
  return `${TEMPORARY}${id}`;
}

export function isTemporary(name: string): boolean {
  return name.startsWith(TEMPORARY);
}

type Part = { name: string; fromLink: boolean };

/**
 * Goes along a path, which has passed the guard, from the root to the folder that holds its last name. Links are read
 * and followed name by name; nothing outside the root is ever touched. A link may go out by `..` or an absolute path if
 * it comes straight back in. Of a link that stands last itself, `last: "keep"` gives the link.
 *
 * Gives null where a folder of the path is missing or is none, unless `make` makes what is missing; and "folder" where the
 * path leads to the innermost of the held folders itself, as a link to `.` does.
 *
 * @throws DirectoryError where a link leads outside or to nothing
 */
export function followPath(
  held: HeldFolders,
  path: string,
  { root, last, make = false }: { root: string; last: "follow" | "keep"; make?: boolean },
): Place | "folder" | null {
  const rootNames = namesOf(root);
  const todo = partsOf(path, false);
  /** How many folders above the root the way has come to; it may only come back. */
  let above = 0;
  let links = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    const { name, fromLink } = part;
    if (name === "..") {
      if (above > 0 || !held.leave()) above = Math.min(above + 1, rootNames.length);
      continue;
    }
    if (above > 0) {
      if (name !== rootNames[rootNames.length - above]) throw leadsOutside(path);
      above--;
      continue;
    }
    if (isTemporary(name)) throw reservedName(path);
    const isLast = todo.length === 0;
    const found = held.find(name);
    if (found?.stats.isSymbolicLink() && !(isLast && last === "keep")) {
      if (++links > LINKS_MAX) throw leadsOutside(path);
      const target = held.readlink(found.name);
      if (target.startsWith("/")) {
        while (held.leave()) {}
        above = rootNames.length;
      }
      todo.push(...partsOf(target, true));
      continue;
    }
    if (found === null && fromLink) throw leadsOutside(path);
    if (isLast) return { name: found?.name ?? name, found };
    if (found?.stats.isDirectory()) held.enter(found.name);
    else if (found === null && make) held.make(name);
    else if (todo.at(-1)?.fromLink) throw leadsOutside(path);
    else return null;
  }
  if (above > 0) throw leadsOutside(path);
  return "folder";
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** The names of a path, the first one last. */
function partsOf(path: string, fromLink: boolean): Part[] {
  return namesOf(path)
    .reverse()
    .map((name) => ({ name, fromLink }));
}
