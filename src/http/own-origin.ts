import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import { parseAllowedOrigins } from "../protocol/gateway-settings.ts";
import type { AppEnv } from "./app-env.ts";

/** Whether a request comes from a page whose origin is neither the gateway's own nor one that may call. */
export function isForeign(c: Context<AppEnv>): boolean {
  const origin = c.req.header("origin");
  if (origin === undefined || origin === new URL(c.req.url).origin) return false;
  return !parseAllowedOrigins(c.env.GATEWAY_ALLOWED_ORIGINS).includes(origin);
}

/**
 * Keeps pages of origins that are not allowed from opening streams: browsers ask nobody before they send an upgrade, or
 * a ticket, and name the page's origin in it.
 */
export const ownOrigin = createMiddleware<AppEnv>(async (c, next) => {
  const isStream = c.req.header("upgrade") !== undefined || c.var.ticket !== undefined;
  if (isStream && isForeign(c)) throw new GatewayError("forbidden", "Pages of this origin may not open a stream here.");
  await next();
});
