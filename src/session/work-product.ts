import type { NewEvent } from "../protocol/events.ts";
import { filePath } from "../protocol/paths.ts";
import type { FileInfo } from "../protocol/rest.ts";

const FOLDER = "work_products/";

/** The event for a file that was made for people; null for any other file. */
export function workProductEvent(sessionId: string, { path, size, content_type, sha256 }: FileInfo): NewEvent | null {
  if (!path.startsWith(FOLDER)) return null;
  const url = filePath(sessionId, path);
  return { type: "WORK_PRODUCT", data: { path, workspace_path: path, size, content_type, sha256, url } };
}
