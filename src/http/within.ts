import { logError } from "../logging/log.ts";
import { GatewayError } from "../protocol/errors.ts";
import { withDeadline } from "../timing/deadline.ts";

/**
 * Waits for storage at most so long: the platform sets no deadline. What is given up, or failed, may still take effect
 * later.
 *
 * @throws GatewayError `unavailable` when the time is up or the storage failed, else the one that `work` was rejected with
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  try {
    return await withDeadline(work, ms);
  } catch (thrown) {
    throw storageFailure(thrown);
  }
}

/** What a client is told of a storage that failed: it may repeat the request. A GatewayError stays as it is. */
export function storageFailure(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  logError("storage", thrown);
  return new GatewayError("unavailable", "The storage could not be reached for the moment. Try again.");
}
