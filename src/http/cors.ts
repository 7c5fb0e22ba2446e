import { createMiddleware } from "hono/factory";
import { parseAllowedOrigins } from "../protocol/gateway-settings.ts";
import type { AppEnv } from "./app-env.ts";

/** What clients send besides what every page may send. */
const REQUEST_HEADERS = [
  "authorization",
  "content-type",
  "accept",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "if-range",
  "range",
  "last-event-id",
].join(", ");

/** What of an answer pages may read besides what every page may read. */
const ANSWER_HEADERS = [
  "accept-ranges",
  "allow",
  "content-disposition",
  "content-range",
  "etag",
  "location",
  "retry-after",
  "turnpike-turn-id",
  "www-authenticate",
].join(", ");

/** So long a browser remembers what it was told; an origin that is taken off the list is refused at once all the same. */
const PREFLIGHT_MAX_AGE_SECONDS = 3_600;

/**
 * Lets pages of the origins in `GATEWAY_ALLOWED_ORIGINS` call the gateway and read its answers, errors too (the Fetch
 * standard, section 3.3). Where there are none, no answer says anything of origins. Credentials are never allowed: pages
 * bring their token, and there is no cookie.
 *
 * @param methodsAt the methods of the route with this path; none where there is no such route
 */
export function cors(methodsAt: (path: string) => readonly string[]) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const allowed = parseAllowedOrigins(c.env.GATEWAY_ALLOWED_ORIGINS);
    if (allowed.length === 0) return next();
    const origin = c.req.header("origin");
    const isAllowed = origin !== undefined && allowed.includes(origin);
    const methods = c.req.method === "OPTIONS" && isAllowed ? methodsAt(c.req.path) : [];
    if (methods.length > 0 && c.req.header("access-control-request-method") !== undefined) {
      // Browsers ask without a token.
      c.res = new Response(null, {
        status: 204,
        headers: {
          "access-control-allow-methods": methods.join(", "),
          "access-control-allow-headers": REQUEST_HEADERS,
          "access-control-max-age": String(PREFLIGHT_MAX_AGE_SECONDS),
        },
      });
    } else {
      await next();
      // The answer to a handshake has no headers of ours; a browser looks for none there.
      if (c.res.status === 101) return;
      if (isAllowed) c.res.headers.set("access-control-expose-headers", ANSWER_HEADERS);
    }
    if (isAllowed) c.res.headers.set("access-control-allow-origin", origin);
    c.res.headers.append("vary", "origin");
  });
}
