import { firstChars } from "../protocol/first-chars.ts";

/**
 * Why something in a directory cannot be had or done, in words for whoever asked: it names paths of the workspace, and
 * none of the machine. `refused`: the path is at fault, whatever is tried; `failed`: the system could or would not.
 */
export class DirectoryError extends Error {
  override readonly name = "DirectoryError";
  readonly kind: "refused" | "failed";

  constructor(kind: "refused" | "failed", message: string) {
    super(message);
    this.kind = kind;
  }
}

const shown = (path: string) => JSON.stringify(firstChars(path, 200));

/** The same words whether the link's target is there: what stands outside is nobody's business here. */
export function leadsOutside(path: string): DirectoryError {
  const message = `${shown(path)} is refused: a symbolic link leads outside the workspace, or to nothing.`;
  return new DirectoryError("refused", message);
}

export function inTheWay(path: string): DirectoryError {
  return new DirectoryError("refused", `${shown(path)} is in the way: a path is a file or a folder.`);
}

/** To read it again would show nothing, so there is no use in trying again. */
export function hiddenInTheWay(path: string): DirectoryError {
  const what = "something that lists do not show, such as a pipe or a name that no path can have";
  return new DirectoryError("refused", `${shown(path)} cannot be written: ${what}, is in the way.`);
}

export function noRegularFile(path: string): DirectoryError {
  return new DirectoryError("refused", `${shown(path)} is neither a file nor a folder.`);
}

export function reservedName(path: string): DirectoryError {
  return new DirectoryError("refused", `${shown(path)} is refused: the gateway names its temporary files so.`);
}

export function nameTooLong(path: string): DirectoryError {
  return new DirectoryError("refused", `${shown(path)} is refused: a file system takes no name that long.`);
}

export function changedMeanwhile(path: string): DirectoryError {
  return new DirectoryError("failed", `${shown(path)} was changed by someone else meanwhile.`);
}

/** What a thrown failure of the operating system comes to; anything else is given back as it is. */
export function toDirectoryError(thrown: unknown, path: string): unknown {
  const code = systemCode(thrown);
  return code === null ? thrown : new DirectoryError("failed", describeFailure(code, path));
}

/** The code of a failure of the operating system, such as `ENOSPC`; null for any other failure. */
export function systemCode(thrown: unknown): string | null {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

function describeFailure(code: string, path: string): string {
  switch (code) {
    case "EACCES":
    case "EPERM":
      return `The system does not permit this for ${shown(path)}.`;
    case "ENOSPC":
    case "EDQUOT":
      return `There is no space left on the disk for ${shown(path)}.`;
    case "EROFS":
      return `${shown(path)} lies on a disk that can only be read.`;
    case "EFBIG":
      return `${shown(path)} would be larger than the disk takes.`;
    case "ENAMETOOLONG":
      return nameTooLong(path).message;
    // A name that was looked at a moment ago is another thing now.
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
    case "ELOOP":
    case "EEXIST":
    case "ENOTEMPTY":
    case "ENXIO":
      return changedMeanwhile(path).message;
    default:
      return `The disk failed at ${shown(path)} (${code}).`;
  }
}
