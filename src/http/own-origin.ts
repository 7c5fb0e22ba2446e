import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import type { AppEnv } from "./app-env.ts";
import { gatewaySettings } from "./gateway-settings.ts";

/**
 * Keeps pages of origins that are not allowed from opening streams: browsers ask nobody before they send an upgrade, or
 * a ticket, and name the page's origin in it.
 */
export const ownOrigin = createMiddleware<AppEnv>(async (c, next) => {
  const origin = c.req.header("origin");
  const isStream = c.req.header("upgrade") !== undefined || c.var.ticket !== undefined;
  if (isStream && origin !== undefined && origin !== new URL(c.req.url).origin) {
    if (!gatewaySettings(c.env).allowedOrigins.includes(origin)) {
      throw new GatewayError("forbidden", "Pages of this origin may not open a stream here.");
    }
  }
  await next();
});
