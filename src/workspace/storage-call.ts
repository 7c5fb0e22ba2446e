import { ToolError } from "../engine/ports.ts";
import { STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";

/**
 * Waits for one call to the file storage. The platform sets no deadline, and a call that hangs would hold a turn for
 * ever; one that is given up may still take effect later.
 *
 * @throws ToolError that says only that the storage failed; the log says how
 */
export async function storageCall<T>(call: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${STORAGE_TIMEOUT_MS} ms`)), STORAGE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([call, deadline]);
  } catch (thrown) {
    console.error("file storage:", thrown);
    throw new ToolError("The storage of the workspace's files failed. Trying again may help.");
  } finally {
    clearTimeout(timer);
  }
}
