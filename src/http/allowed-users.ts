import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { isAdmin, type Principal } from "../protocol/principal.ts";
import type { AppEnv } from "./app-env.ts";
import { gatewaySettings } from "./gateway-settings.ts";

/**
 * Whether who asks may use the gateway, where `GATEWAY_ALLOWED_USERS` says who may. Admins may, whoever they are: somebody
 * must be able to mend what is wrong there.
 */
export function isAllowed({ allowedUsers }: GatewaySettings, asking: Principal): boolean {
  return allowedUsers === null || isAdmin(asking) || allowedUsers.includes(asking.user_id);
}

/**
 * Makes sure that a session or a token may be made for a user. An admin's own may.
 *
 * @throws GatewayError `forbidden`
 */
export function checkAllowedFor({ allowedUsers }: GatewaySettings, asking: Principal, user_id: string): void {
  if (allowedUsers === null || user_id === asking.user_id || allowedUsers.includes(user_id)) return;
  throw new GatewayError("forbidden", "GATEWAY_ALLOWED_USERS does not list this user.");
}

/** Lets nobody else in. Whoever made a ticket was let in then, and it is for whom they may act for. */
export const allowedUsers = createMiddleware<AppEnv>(async (c, next) => {
  if (c.var.ticket === undefined && !isAllowed(gatewaySettings(c.env), c.var.principal)) {
    throw new GatewayError("forbidden", "This user may not use this gateway.");
  }
  await next();
});
