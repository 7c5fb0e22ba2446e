import * as z from "zod";
import { inputId, sessionId } from "../protocol/ids.ts";
import { INPUT_LINK_MAX_CHARS } from "../protocol/limits.ts";
import { isAdmin, type Principal } from "../protocol/principal.ts";
import { sign, signingKey, verify } from "./signed.ts";

/** Where links lead: beside the API, since whoever opens one has no token. */
export const INPUT_LINK_BASE = "/answer";

/** What a link lets its holder do: answer one input as who made it, until it expires (ms since the epoch). */
export type LinkGrant = { asking: Principal; session_id: string; input_id: string; expiresAt: number };

const KEY = { info: "turnpike: links that answer an input, version 1", what: "links" };

/** Who made it, whether as an admin, the session, the input, and when it expires. */
const withoutToken = z.tuple([z.string(), z.boolean(), sessionId, inputId, z.int()]);
/** The same, the id of the token that it was made with, and when that ends. */
const withToken = z.tuple([...withoutToken.def.items, z.string().nullable(), z.int().nullable()]);
/** Links of before tokens had ids go on until they expire. */
const payload = z.union([withToken, withoutToken]);

/** The key that signs links. @throws GatewayError `unavailable` where the gateway has no secret */
export function linkKey(env: Pick<Cloudflare.Env, "GATEWAY_LINK_KEY" | "GATEWAY_TOKEN">): Promise<CryptoKey> {
  return signingKey(env, KEY);
}

/** A grant as text for a URL. Nothing of it is stored. */
export function signLink(key: CryptoKey, { asking, session_id, input_id, expiresAt }: LinkGrant): Promise<string> {
  const { user_id, token_id = null, expires_at = null } = asking;
  const fields: z.infer<typeof withToken> = [
    user_id,
    isAdmin(asking),
    session_id,
    input_id,
    expiresAt,
    token_id,
    expires_at,
  ];
  return sign(key, fields);
}

/** What a link grants; null for one that this key did not sign. Whether it, or its token, has ended is not looked at. */
export async function verifyLink(key: CryptoKey, link: string): Promise<LinkGrant | null> {
  const fields = await verify(key, link, INPUT_LINK_MAX_CHARS);
  if (fields === null) return null;
  const [user_id, admin, session_id, input_id, expiresAt, token_id = null, expires_at = null] = payload.parse(fields);
  const asking: Principal = {
    user_id,
    scopes: admin ? ["approve", "admin"] : ["approve"],
    ...(token_id === null ? {} : { token_id }),
    ...(expires_at === null ? {} : { expires_at }),
  };
  return { asking, session_id, input_id, expiresAt };
}
