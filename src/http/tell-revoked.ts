import { createMiddleware } from "hono/factory";
import { dueTokenSessions, settleTokenSessions, type TokenSession } from "../catalog/token-sessions.ts";
import { logError } from "../logging/log.ts";
import {
  REVOCATION_BATCH,
  REVOCATION_BATCH_MAX,
  REVOCATION_CALLS_MAX,
  REVOCATION_LOOK_MS,
  REVOCATION_PASS_MS,
  REVOCATION_TIMEOUT_MS,
  STORAGE_TIMEOUT_MS,
} from "../protocol/limits.ts";
import type { AppEnv } from "./app-env.ts";
import { unwrap } from "./problem-response.ts";
import { sessionOf } from "./session-stub.ts";
import { within } from "./within.ts";

/** When this isolate last began to look for sessions to tell; never, where it should look again at once. */
let lookedAt = Number.NEGATIVE_INFINITY;

/**
 * Tells the sessions that are due by now that a token was revoked: of the token `token_id`, or with null of all; the
 * newest first, and as many as one request may. The next request goes on with those that are left. Those that cannot be
 * reached are due again after a while.
 *
 * @throws GatewayError `unavailable` where D1 could not be asked
 */
export async function tellRevoked(env: Cloudflare.Env, token_id: string | null): Promise<void> {
  const now = Date.now();
  const next = dueTokenSessions(env.CATALOG, { token_id, now, limit: REVOCATION_CALLS_MAX });
  let left = await within(STORAGE_TIMEOUT_MS, next);
  let isAnySettled = false;
  try {
    // Small at first, so that where the platform takes few requests some are settled before it takes no more.
    for (let size = REVOCATION_BATCH; left.length > 0; size = Math.min(size * 2, REVOCATION_BATCH_MAX)) {
      if (Math.abs(Date.now() - now) >= REVOCATION_PASS_MS) return;
      await tellAll(env, left.slice(0, size));
      left = left.slice(size);
      isAnySettled = true;
    }
  } finally {
    // There may be more, and to go on gets somewhere.
    if (isAnySettled) lookedAt = Number.NEGATIVE_INFINITY;
  }
}

async function tellAll(env: Cloudflare.Env, batch: TokenSession[]): Promise<void> {
  const outcomes = await Promise.all(batch.map(async (one) => ({ one, isTold: await tell(env, one) })));
  const told = outcomes.filter(({ isTold }) => isTold).map(({ one }) => one);
  const untold = outcomes.filter(({ isTold }) => !isTold).map(({ one }) => one);
  const retryAt = Date.now() + REVOCATION_LOOK_MS;
  await within(STORAGE_TIMEOUT_MS, settleTokenSessions(env.CATALOG, { told, untold, retryAt }));
}

/** Never throws. */
async function tell(env: Cloudflare.Env, { token_id, session_id }: TokenSession): Promise<boolean> {
  try {
    unwrap(await within(REVOCATION_TIMEOUT_MS, sessionOf(env, session_id).revokeToken(token_id)));
    return true;
  } catch (thrown) {
    logError("telling a session of a revoked token", thrown);
    return false;
  }
}

/**
 * Lets any request be the occasion to tell sessions that are yet to be told: the next one where some were found, else
 * one now and then. That is how they hear of a revocation straight in the database, and of one that was interrupted. The request
 * neither waits for it nor fails with it.
 */
export const revocationRounds = createMiddleware<AppEnv>(async (c, next) => {
  const now = Date.now();
  if (Math.abs(now - lookedAt) >= REVOCATION_LOOK_MS) {
    lookedAt = now;
    c.executionCtx.waitUntil(tellDue(c.env));
  }
  await next();
});

async function tellDue(env: Cloudflare.Env): Promise<void> {
  try {
    await tellRevoked(env, null);
  } catch (thrown) {
    logError("looking for sessions to tell of a revoked token", thrown);
  }
}
