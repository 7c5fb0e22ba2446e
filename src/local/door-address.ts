import { createHash } from "node:crypto";
import { GatewayError } from "../protocol/errors.ts";

/** What a socket's path may have in UTF-8, without the NUL that ends it: Linux has 108 bytes for it, the others 104. */
const PATH_MAX_BYTES = process.platform === "linux" ? 107 : 103;
/**
 * What the system calls the socket at a path. Windows has named pipes, of one space for all.
 *
 * @throws GatewayError `invalid_request`
 */
export function doorAddress(path: string): string {
  if (process.platform === "win32") {
    return `\\\\.\\pipe\\turnpike-${createHash("sha256").update(path).digest("hex")}`;
  }
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_MAX_BYTES) return path;
  throw new GatewayError(
    "invalid_request",
    `The path of a session's socket may have ${PATH_MAX_BYTES} bytes on this system, and ${path} has ${bytes}: ` +
      "set TURNPIKE_HOME to a shorter one.",
  );
}
