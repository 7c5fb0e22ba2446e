import type { StoredToken } from "../catalog/token-statements.ts";
import { findToken } from "../catalog/tokens.ts";
import { STORAGE_TIMEOUT_MS, TOKEN_CACHE_MAX, TOKEN_CACHE_MS } from "../protocol/limits.ts";
import { within } from "./within.ts";

/** What D1 said of tokens in this isolate, and when it was asked (ms since the epoch). The oldest stand first. */
const known = new Map<string, { token: StoredToken; askedAt: number }>();

/**
 * A token by its id, as it was at most 30 s ago; null where there is none. That there is none is not remembered, so that
 * a new token works at once.
 *
 * @throws GatewayError `unavailable`
 */
export async function lookUpToken(env: Cloudflare.Env, id: string): Promise<StoredToken | null> {
  const now = Date.now();
  const before = known.get(id);
  // A clock that was set back makes nothing young.
  if (before !== undefined && Math.abs(now - before.askedAt) < TOKEN_CACHE_MS) return before.token;
  const token = await within(STORAGE_TIMEOUT_MS, findToken(env.CATALOG, id));
  return token === null ? null : rememberToken(token, now);
}

/** Takes what D1 said when it was asked at `askedAt`. @returns what is known now */
export function rememberToken(token: StoredToken, askedAt: number): StoredToken {
  const before = known.get(token.token_id)?.token;
  // It was revoked here while D1 was asked: that is for good, and what was read before comes late.
  if (before !== undefined && before.revoked_at !== null) return before;
  known.delete(token.token_id);
  known.set(token.token_id, { token, askedAt });
  const [oldest] = known.keys();
  if (known.size > TOKEN_CACHE_MAX && oldest !== undefined) known.delete(oldest);
  return token;
}
