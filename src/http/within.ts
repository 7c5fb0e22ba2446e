import { GatewayError } from "../protocol/errors.ts";
import { DeadlineExceeded, withDeadline } from "../timing/deadline.ts";

/**
 * Waits for storage at most so long: the platform sets no deadline. What is given up may still take effect later.
 *
 * @throws GatewayError `unavailable` when the time is up, else what `work` was rejected with
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  try {
    return await withDeadline(work, ms);
  } catch (thrown) {
    if (!(thrown instanceof DeadlineExceeded)) throw thrown;
    throw new GatewayError("unavailable", "The storage did not answer in time.");
  }
}
