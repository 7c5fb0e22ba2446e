import { GatewayError } from "../protocol/errors.ts";

/**
 * Waits for storage at most so long: the platform sets no deadline. What is given up may still take effect later.
 *
 * @throws GatewayError `unavailable` when the time is up, else what `work` was rejected with
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GatewayError("unavailable", "The storage did not answer in time.")), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
