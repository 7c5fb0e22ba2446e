import { GatewayError } from "../protocol/errors.ts";
import { API_BASE } from "../protocol/paths.ts";

/** The path of a URL as it was sent, with nothing decoded. */
export function rawPath(url: string): string {
  const path = url.slice(url.indexOf("/", url.indexOf("://") + 3));
  const end = path.search(/[?#]/);
  return end === -1 ? path : path.slice(0, end);
}

/** How many segments come before a file's path. */
const SEGMENTS_BEFORE_FILE = `${API_BASE}/sessions/{session_id}/files`.split("/").length;

/**
 * The path of the file that a URL names, decoded exactly once.
 *
 * @throws GatewayError `path_refused` for what is not percent-encoded UTF-8
 */
export function filePathOf(url: string): string {
  const encoded = rawPath(url).split("/").slice(SEGMENTS_BEFORE_FILE).join("/");
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new GatewayError("path_refused", "The path is refused: it is not UTF-8 in percent-encoding.");
  }
}
