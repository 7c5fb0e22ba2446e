import { ToolError } from "../engine/ports.ts";
import { STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import { withDeadline } from "../timing/deadline.ts";

/**
 * Waits for one call to the file storage. The platform sets no deadline, and a call that hangs would hold a turn for
 * ever; one that is given up may still take effect later.
 *
 * @throws ToolError that says only that the storage failed; the log says how
 */
export async function storageCall<T>(call: Promise<T>): Promise<T> {
  try {
    return await withDeadline(call, STORAGE_TIMEOUT_MS);
  } catch (thrown) {
    console.error("file storage:", thrown);
    throw new ToolError("The storage of the workspace's files failed. Trying again may help.");
  }
}
