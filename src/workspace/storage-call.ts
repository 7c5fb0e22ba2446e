import { ToolError } from "../engine/ports.ts";
import { logError } from "../logging/log.ts";
import { STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import { withDeadline } from "../timing/deadline.ts";
import { pauseAfter } from "../timing/pause-after.ts";
import { sleep } from "../timing/sleep.ts";

/** A storage that hiccups is nothing to tell a model of. Each try has its share of the time that all may take. */
const TRIES = 3;
const TRY_TIMEOUT_MS = STORAGE_TIMEOUT_MS / TRIES;
const PAUSES = { firstMs: 200, longestMs: 1_000 };

/**
 * Makes a call to the file storage, and makes it again where it failed or did not answer. The platform sets no deadline,
 * and a call that hangs would hold a turn for ever; one that is given up may still take effect later, also beside the
 * next try, so `call` must be one that can be made twice.
 *
 * @throws ToolError that says only that the storage failed; the log says how
 */
export async function storageCall<T>(call: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await withDeadline(call(), TRY_TIMEOUT_MS);
    } catch (thrown) {
      logError("file storage", thrown);
      if (failures + 1 === TRIES) break;
    }
    await sleep(pauseAfter(failures, PAUSES), NEVER);
  }
  throw new ToolError("The storage of the workspace's files was unavailable. Nothing was changed; try again later.");
}

const NEVER = new AbortController().signal;
