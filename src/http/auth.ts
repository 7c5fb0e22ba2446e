import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import { requireScope, type Scope, scope } from "../protocol/principal.ts";
import { toHex } from "../protocol/sha256.ts";
import type { AppEnv, Authenticate } from "./app-env.ts";

/** `GATEWAY_TOKEN` is the token of the first admin. Where it is not set, nobody gets in. */
export const authenticateGatewayToken: Authenticate = async (token, env) => {
  if (!env.GATEWAY_TOKEN) return null;
  // Digests have one length, so the comparison takes the same time whatever was sent.
  const [given, expected] = await Promise.all([digest(token), digest(env.GATEWAY_TOKEN)]);
  return crypto.subtle.timingSafeEqual(given, expected) ? { user_id: "admin", scopes: scope.options } : null;
};

/** Takes `Authorization: Bearer` (RFC 6750) and says who is asking. */
export function authentication(authenticate: Authenticate) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const principal = token === undefined ? null : await authenticate(token, c.env);
    if (token === undefined || principal === null) {
      throw new GatewayError("unauthenticated", "Send a valid token as Authorization: Bearer.");
    }
    c.set("principal", { ...principal, token_id: toHex(new Uint8Array(await digest(token))) });
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

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
