import { createMiddleware } from "hono/factory";
import { unauthenticated } from "../protocol/errors.ts";
import { requireScope, type Scope } from "../protocol/principal.ts";
import type { AppEnv, Authenticate } from "./app-env.ts";
import { ticketGrant } from "./tickets.ts";

/**
 * Takes `Authorization: Bearer` (RFC 6750), or in its place the ticket of a stream, and says who is asking. Whether the
 * ticket was used before is not looked at.
 */
export function authentication(authenticate: Authenticate) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const ticket = await ticketGrant(c);
    const principal = token === undefined ? (ticket?.asking ?? null) : await authenticate(token, c.env);
    if (principal === null) throw unauthenticated();
    c.set("principal", principal);
    if (ticket !== null) c.set("ticket", ticket);
    await next();
  });
}

/** Lets a request through whose token has the scope. */
export function needs(scope: Scope) {
  return createMiddleware<AppEnv>(async (c, next) => {
    requireScope(c.var.principal, scope);
    await next();
  });
}
