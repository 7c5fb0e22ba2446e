import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { makeToken } from "../../catalog/make-token.ts";
import { hasTokenSessions } from "../../catalog/token-sessions.ts";
import { listTokens, revokeToken, storeToken } from "../../catalog/tokens.ts";
import { GatewayError, invalidField, notFound } from "../../protocol/errors.ts";
import { tokenId } from "../../protocol/ids.ts";
import { STORAGE_TIMEOUT_MS } from "../../protocol/limits.ts";
import { createdToken, createTokenBody, tokenPage } from "../../protocol/tokens.ts";
import { checkAllowedFor } from "../allowed-users.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { gatewaySettings } from "../gateway-settings.ts";
import { jsonBody } from "../json-body.ts";
import { rememberToken } from "../known-tokens.ts";
import { noQuery, pageQuery, tokenParams } from "../parameters.ts";
import { tellRevoked } from "../tell-revoked.ts";
import { within } from "../within.ts";
import { body, json, operation } from "./answers.ts";

const getTokens = createRoute({
  ...operation({
    id: "listTokens",
    tag: "Tokens",
    summary: "List tokens",
    description: "All tokens but what it takes to use them, the newest first. For admins.",
    scope: "admin",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/tokens",
  middleware: [needs("admin")],
  request: { query: pageQuery },
  responses: { 200: json("Tokens, the newest first", tokenPage) },
});

const postToken = createRoute({
  ...operation({
    id: "createToken",
    tag: "Tokens",
    summary: "Make a token",
    description: "A token of a user with scopes. It is shown in this answer and nowhere else. For admins.",
    scope: "admin",
  }),
  method: "post",
  path: "/tokens",
  middleware: [needs("admin"), jsonBody],
  request: { query: noQuery, body: body(createTokenBody) },
  responses: { 201: json("The token, shown here and nowhere else", createdToken) },
});

const deleteToken = createRoute({
  ...operation({
    id: "revokeToken",
    tag: "Tokens",
    summary: "Revoke a token",
    description:
      "The token holds no longer, nor do the tickets and links that were made with it; its sockets are closed. For admins.",
    scope: "admin",
    problems: ["not_found"],
  }),
  method: "delete",
  path: "/tokens/{token_id}",
  middleware: [needs("admin")],
  request: { params: tokenParams, query: noQuery },
  responses: { 204: { description: "The token holds no longer, and its sockets are closed" } },
});

export const tokenRoutes = new OpenAPIHono<AppEnv>()
  .openapi(getTokens, async (c) => {
    const { limit, cursor = null } = c.req.valid("query");
    return c.json(await within(STORAGE_TIMEOUT_MS, listTokens(c.env.CATALOG, { limit, cursor })), 200);
  })
  .openapi(postToken, async (c) => {
    const asked = c.req.valid("json");
    const now = Date.now();
    const { stored, shown } = await makeToken(asked, now);
    if (stored.expires_at !== null && stored.expires_at <= now) throw invalidField("expires_at", "not in the future");
    checkAllowedFor(gatewaySettings(c.env), c.var.principal, asked.user_id);
    await within(STORAGE_TIMEOUT_MS, storeToken(c.env.CATALOG, stored));
    return c.json(shown, 201);
  })
  .openapi(deleteToken, async (c) => {
    const { token_id } = c.req.valid("param");
    if (!tokenId.safeParse(token_id).success) throw notFound();
    const now = Date.now();
    const revoked = await within(STORAGE_TIMEOUT_MS, revokeToken(c.env.CATALOG, token_id, now));
    if (revoked === null) throw notFound();
    rememberToken(revoked, now);
    if (await isTold(c.env, token_id)) return c.body(null, 204);
    throw new GatewayError(
      "unavailable",
      "The token is revoked, but not all of its sockets could be closed yet. Repeat the request to go on.",
    );
  });

/** Whether all sessions were told. A database that is away by now changes nothing in that the token is revoked. */
async function isTold(env: Cloudflare.Env, token_id: string): Promise<boolean> {
  try {
    await tellRevoked(env, token_id);
    // Another request may have tried one of them, and put it off.
    return !(await within(STORAGE_TIMEOUT_MS, hasTokenSessions(env.CATALOG, token_id)));
  } catch (thrown) {
    if (thrown instanceof GatewayError) return false;
    throw thrown;
  }
}
