import { logError } from "../logging/log.ts";
import { GatewayError } from "../protocol/errors.ts";
import { RATE_LIMIT_PERIOD_SECONDS, RATE_LIMIT_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import { withDeadline } from "../timing/deadline.ts";

/** The platform's rate limiter, https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit. */
export type RateLimiter = { limit(options: { key: string }): Promise<{ success: boolean }> };

/**
 * Counts one request of a token. A limiter that fails, in whatever way, or does not answer soon, lets it pass: it is no
 * lock, and must not become one.
 *
 * @throws GatewayError `rate_limited`
 */
export async function countRequest(limiter: RateLimiter, key: string): Promise<void> {
  const count = async () => (await limiter.limit({ key })).success;
  const passes = await withDeadline(count(), RATE_LIMIT_TIMEOUT_MS).catch((thrown: unknown) => {
    logError("rate limit", thrown);
    return true;
  });
  if (passes) return;
  const detail = `Too many requests with this token. Try again in ${RATE_LIMIT_PERIOD_SECONDS} seconds.`;
  throw new GatewayError("rate_limited", detail, undefined, RATE_LIMIT_PERIOD_SECONDS);
}

/** What a principal's requests are counted by; null where nothing counts them. */
export function countedBy(limiter: RateLimiter | undefined, { token_id }: Principal): [RateLimiter, string] | null {
  return limiter === undefined || token_id === undefined ? null : [limiter, token_id];
}
