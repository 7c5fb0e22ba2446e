import { createMiddleware } from "hono/factory";
import type { AppEnv } from "./app-env.ts";

/** What every answer says to browsers and caches, unless its route has said something else. */
const HEADERS = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export const secureHeaders = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  // The answer to a handshake carries the socket and cannot be copied.
  if (c.res.status === 101) return;
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  }
});
