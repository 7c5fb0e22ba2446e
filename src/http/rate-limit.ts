import { createMiddleware } from "hono/factory";
import { countedBy, countRequest } from "../session/session-api.ts";
import type { AppEnv } from "./app-env.ts";

/** Counts the request, where a rate limiter is bound. Comes after authentication: who has no token has no count either. */
export const rateLimit = createMiddleware<AppEnv>(async (c, next) => {
  const counted = countedBy(c.env.RATE_LIMITER, c.var.principal);
  if (counted !== null) await countRequest(...counted);
  await next();
});
