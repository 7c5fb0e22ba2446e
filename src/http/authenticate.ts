import type { StoredToken } from "../catalog/token-statements.ts";
import { digestOf, tokenIdOf } from "../catalog/token-text.ts";
import { tokenId } from "../protocol/ids.ts";
import { hasExpired, type Principal, scope } from "../protocol/principal.ts";
import type { Authenticate } from "./app-env.ts";
import { lookUpToken } from "./known-tokens.ts";

/** The id of `GATEWAY_TOKEN` among tokens. */
const FIRST_ADMIN = "gateway";

/**
 * Takes `GATEWAY_TOKEN`, which is the first admin's, and the tokens that were created and neither revoked nor ended. The
 * database is asked only for what has the form of the latter.
 *
 * @throws GatewayError `unavailable` where it cannot be asked
 */
export const authenticateGatewayToken: Authenticate = async (token, env) => {
  const digest = await digestOf(token);
  if (env.GATEWAY_TOKEN && isSame(digest, await digestOfOwn(env.GATEWAY_TOKEN))) {
    return { user_id: "admin", scopes: scope.options, token_id: FIRST_ADMIN };
  }
  const id = tokenIdOf(token);
  const found = id === null ? null : await lookUpToken(env, id);
  return found !== null && isSame(digest, found.digest) && holds(found) ? principalOf(found) : null;
};

/**
 * Whether a token still holds, by its id: neither revoked nor ended, as far as is known after 30 s.
 *
 * @throws GatewayError `unavailable`
 */
export async function tokenHolds(env: Cloudflare.Env, id: string): Promise<boolean> {
  if (id === FIRST_ADMIN) return Boolean(env.GATEWAY_TOKEN);
  const found = tokenId.safeParse(id).success ? await lookUpToken(env, id) : null;
  return found !== null && holds(found);
}

function holds(token: StoredToken): boolean {
  return token.revoked_at === null && !hasExpired(principalOf(token), Date.now());
}

function principalOf({ user_id, scopes, token_id, expires_at }: StoredToken): Principal {
  return { user_id, scopes, token_id, ...(expires_at === null ? {} : { expires_at }) };
}

/** It stays the same from request to request. The promise of another request may not be waited for, so it is not kept. */
let own: { token: string; digest: string } | null = null;

async function digestOfOwn(token: string): Promise<string> {
  if (own?.token === token) return own.digest;
  const digest = await digestOf(token);
  own = { token, digest };
  return digest;
}

/** Whether two digests are the same, which takes the same time whatever they are: all have one length. */
function isSame(a: string, b: string): boolean {
  const encoder = new TextEncoder();
  return crypto.subtle.timingSafeEqual(encoder.encode(a), encoder.encode(b));
}
