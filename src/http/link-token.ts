import { z } from "zod";
import { GatewayError } from "../protocol/errors.ts";
import { inputId, sessionId } from "../protocol/ids.ts";
import { INPUT_LINK_MAX_CHARS } from "../protocol/limits.ts";
import { isAdmin, type Principal } from "../protocol/principal.ts";

/** Where links lead: beside the API, since whoever opens one has no token. */
export const INPUT_LINK_BASE = "/answer";

/** What a link lets its holder do: answer one input as who made it, until it expires (ms since the epoch). */
export type LinkGrant = { asking: Principal; session_id: string; input_id: string; expiresAt: number };

/** Keys are apart by this: what signs links signs nothing else, whatever else is derived from the same secret. */
const KEY_INFO = "turnpike: links that answer an input, version 1";

const LINK = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/;

/** Who made it, whether as an admin, the session, the input, and when it expires. */
const payload = z.tuple([z.string(), z.boolean(), sessionId, inputId, z.int()]);

/**
 * The key that signs links, from the secret `GATEWAY_LINK_KEY`, or else from the first admin's token. Another secret
 * makes every link void.
 *
 * @throws GatewayError `unavailable` where there is neither
 */
export async function linkKey(env: Pick<Cloudflare.Env, "GATEWAY_LINK_KEY" | "GATEWAY_TOKEN">): Promise<CryptoKey> {
  const secret = env.GATEWAY_LINK_KEY || env.GATEWAY_TOKEN;
  if (!secret) {
    throw new GatewayError(
      "unavailable",
      "The gateway makes no links: neither GATEWAY_LINK_KEY nor GATEWAY_TOKEN is set.",
    );
  }
  const base = await crypto.subtle.importKey("raw", utf8(secret), "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(KEY_INFO) };
  const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
  return crypto.subtle.deriveKey(derivation, base, hmac, false, ["sign", "verify"]);
}

/** A grant as text for a URL: all that it says, and a signature. Nothing of it is stored. */
export async function signLink(
  key: CryptoKey,
  { asking, session_id, input_id, expiresAt }: LinkGrant,
): Promise<string> {
  const fields: z.infer<typeof payload> = [asking.user_id, isAdmin(asking), session_id, input_id, expiresAt];
  const signed = toBase64Url(utf8(JSON.stringify(fields)));
  return `${signed}.${toBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8(signed))))}`;
}

/** What a link grants; null for one that this key did not sign. Whether it has expired is not looked at. */
export async function verifyLink(key: CryptoKey, link: string): Promise<LinkGrant | null> {
  const [, signed = "", tag = ""] = (link.length <= INPUT_LINK_MAX_CHARS && LINK.exec(link)) || [];
  const signature = fromBase64Url(tag);
  // The last character has two bits that say nothing: one that differs in them is another link.
  if (signed === "" || toBase64Url(signature) !== tag) return null;
  if (!(await crypto.subtle.verify("HMAC", key, signature, utf8(signed)))) return null;
  const [user_id, admin, session_id, input_id, expiresAt] = payload.parse(
    JSON.parse(new TextDecoder().decode(fromBase64Url(signed))),
  );
  return { asking: { user_id, scopes: admin ? ["approve", "admin"] : ["approve"] }, session_id, input_id, expiresAt };
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array {
  const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return new Uint8Array(Array.from(bytes, (char) => char.charCodeAt(0)));
}
