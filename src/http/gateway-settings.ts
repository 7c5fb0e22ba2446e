import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import { type GatewaySettings, parseGatewaySettings, SettingsError } from "../protocol/gateway-settings.ts";
import type { AppEnv } from "./app-env.ts";

/**
 * What the gateway's owner has set. Variables that are not valid are no reason to go on without them.
 *
 * @throws GatewayError `unavailable`
 */
export function gatewaySettings(env: Cloudflare.Env): GatewaySettings {
  try {
    return parseGatewaySettings(env);
  } catch (thrown) {
    if (!(thrown instanceof SettingsError)) throw thrown;
    console.error("http:", thrown.message);
    throw new GatewayError("unavailable", `The gateway is not set up correctly: ${thrown.message}.`);
  }
}

/** Whether a gateway with these variables takes requests. */
export function hasValidSettings(env: Cloudflare.Env): boolean {
  try {
    gatewaySettings(env);
    return true;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return false;
    throw thrown;
  }
}

/** Lets nobody in while a variable is not valid that might be there to keep something out. */
export const validSettings = createMiddleware<AppEnv>(async (c, next) => {
  gatewaySettings(c.env);
  await next();
});
