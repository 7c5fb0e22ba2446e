import { createMiddleware } from "hono/factory";
import { dueTokenSessions, isAnyDue, settleTokenSessions, type TokenSession } from "../catalog/token-sessions.ts";
import { logError } from "../logging/log.ts";
import {
  REVOCATION_BATCH,
  REVOCATION_LOOK_MS,
  REVOCATION_ROUNDS,
  REVOCATION_TIMEOUT_MS,
  STORAGE_TIMEOUT_MS,
} from "../protocol/limits.ts";
import type { AppEnv } from "./app-env.ts";
import { unwrap } from "./problem-response.ts";
import { sessionOf } from "./session-stub.ts";
import { within } from "./within.ts";

/**
 * Tells the sessions that are due by now that a token was revoked: of the token `token_id`, or with null of all. Those
 * that cannot be reached are due again after a while.
 *
 * @throws GatewayError `unavailable` where D1 could not be asked
 */
export async function tellRevoked(env: Cloudflare.Env, token_id: string | null): Promise<void> {
  const now = Date.now();
  for (let round = 0; round < REVOCATION_ROUNDS; round++) {
    const next = dueTokenSessions(env.CATALOG, { token_id, now, limit: REVOCATION_BATCH });
    const due = await within(STORAGE_TIMEOUT_MS, next);
    if (due.length === 0) return;
    const outcomes = await Promise.all(due.map(async (one) => ({ one, isTold: await tell(env, one) })));
    const told = outcomes.filter(({ isTold }) => isTold).map(({ one }) => one);
    const untold = outcomes.filter(({ isTold }) => !isTold).map(({ one }) => one);
    const retryAt = now + REVOCATION_LOOK_MS;
    await within(STORAGE_TIMEOUT_MS, settleTokenSessions(env.CATALOG, { told, untold, retryAt }));
    if (due.length < REVOCATION_BATCH) return;
  }
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
 * Lets any request be the occasion to tell sessions that are yet to be told, now and then: after a revocation straight
 * in the database, or where one was interrupted. The request neither waits for it nor fails with it.
 */
export function revocationRounds() {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return createMiddleware<AppEnv>(async (c, next) => {
    const now = Date.now();
    if (Math.abs(now - lookedAt) >= REVOCATION_LOOK_MS) {
      lookedAt = now;
      c.executionCtx.waitUntil(tellDue(c.env, now));
    }
    await next();
  });
}

async function tellDue(env: Cloudflare.Env, now: number): Promise<void> {
  try {
    if (await within(STORAGE_TIMEOUT_MS, isAnyDue(env.CATALOG, now))) await tellRevoked(env, null);
  } catch (thrown) {
    logError("looking for sessions to tell of a revoked token", thrown);
  }
}
