import { createMiddleware } from "hono/factory";
import { log } from "../logging/log.ts";
import { type GatewaySettings, notSetUp, readGatewaySettings } from "../protocol/gateway-settings.ts";
import type { AppEnv } from "./app-env.ts";

/**
 * What the gateway's owner has set. Variables that are not valid are no reason to go on without them.
 *
 * @throws GatewayError `unavailable`
 */
export function gatewaySettings(env: Cloudflare.Env): GatewaySettings {
  const { settings, fault } = readLogged(env);
  if (fault !== null) throw notSetUp(fault);
  return settings;
}

/** Whether a gateway with these variables takes requests. */
export function hasValidSettings(env: Cloudflare.Env): boolean {
  return readLogged(env).fault === null;
}

function readLogged(env: Cloudflare.Env) {
  const read = readGatewaySettings(env);
  if (read.fault !== null) log("error", "error", { where: "settings", detail: read.fault });
  return read;
}

/** Lets nobody in while a variable is not valid that might be there to keep something out. */
export const validSettings = createMiddleware<AppEnv>(async (c, next) => {
  gatewaySettings(c.env);
  await next();
});
