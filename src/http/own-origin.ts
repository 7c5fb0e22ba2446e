import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import type { AppEnv } from "./app-env.ts";

/**
 * Keeps pages of other origins from opening sockets: browsers ask nobody before they send an upgrade, and name the
 * page's origin in it.
 */
export const ownOrigin = createMiddleware<AppEnv>(async (c, next) => {
  const origin = c.req.header("origin");
  if (c.req.header("upgrade") !== undefined && origin !== undefined && origin !== new URL(c.req.url).origin) {
    throw new GatewayError("forbidden", "Pages of other origins may not open a WebSocket here.");
  }
  await next();
});
