import { logError } from "../logging/log.ts";
import { GatewayError } from "../protocol/errors.ts";
import { STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import { withDeadline } from "../timing/deadline.ts";

/**
 * Waits for one call to the catalog's database. The platform sets no deadline; a call that is given up may still take
 * effect later.
 *
 * @throws GatewayError `unavailable`: nobody can know whether the call took effect, and it may be repeated
 */
export async function catalogCall<T>(call: Promise<T>): Promise<T> {
  try {
    return await withDeadline(call, STORAGE_TIMEOUT_MS);
  } catch (thrown) {
    logError("catalog", thrown);
    throw new GatewayError("unavailable", "The gateway's database could not be reached. Try again.");
  }
}
