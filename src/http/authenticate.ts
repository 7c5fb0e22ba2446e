import { scope } from "../protocol/principal.ts";
import type { Authenticate } from "./app-env.ts";

/** The id of `GATEWAY_TOKEN` among tokens. */
const FIRST_ADMIN = "gateway";

/** `GATEWAY_TOKEN` is the token of the first admin. Where it is not set, nobody gets in. */
export const authenticateGatewayToken: Authenticate = async (token, env) => {
  if (!env.GATEWAY_TOKEN) return null;
  // Digests have one length, so the comparison takes the same time whatever was sent.
  const [given, expected] = await Promise.all([digest(token), digest(env.GATEWAY_TOKEN)]);
  const isIt = crypto.subtle.timingSafeEqual(given, expected);
  return isIt ? { user_id: "admin", scopes: scope.options, token_id: FIRST_ADMIN } : null;
};

/** Whether a token still holds, by its id: neither revoked nor expired. @throws GatewayError `unavailable` */
export async function tokenHolds(env: Cloudflare.Env, token_id: string): Promise<boolean> {
  return token_id !== FIRST_ADMIN || Boolean(env.GATEWAY_TOKEN);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
