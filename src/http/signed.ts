import { fromBase64Url, toBase64Url } from "../protocol/base64-url.ts";
import { GatewayError } from "../protocol/errors.ts";

const SIGNED = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/;

/**
 * A key that signs what the gateway gives out and need not store, from the secret `GATEWAY_LINK_KEY`, or else from the
 * first admin's token. Another secret makes all of it void.
 *
 * @param info keeps keys apart: what signs one kind of thing signs nothing else, whatever else is derived from the secret
 * @throws GatewayError `unavailable` where there is no secret; `what` says of what there are none then
 */
export async function signingKey(
  env: Pick<Cloudflare.Env, "GATEWAY_LINK_KEY" | "GATEWAY_TOKEN">,
  { info, what }: { info: string; what: string },
): Promise<CryptoKey> {
  const secret = env.GATEWAY_LINK_KEY || env.GATEWAY_TOKEN;
  if (!secret) {
    throw new GatewayError(
      "unavailable",
      `The gateway makes no ${what}: neither GATEWAY_LINK_KEY nor GATEWAY_TOKEN is set.`,
    );
  }
  const base = await crypto.subtle.importKey("raw", utf8(secret), "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(info) };
  const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
  return crypto.subtle.deriveKey(derivation, base, hmac, false, ["sign", "verify"]);
}

/** Fields as text for a URL: all that they say, and a signature (HMAC-SHA256). */
export async function sign(key: CryptoKey, fields: readonly unknown[]): Promise<string> {
  const signed = toBase64Url(utf8(JSON.stringify(fields)));
  return `${signed}.${toBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8(signed))))}`;
}

/** The fields that this key signed, still to be parsed; null for whatever it did not sign, or is longer than it can be. */
export async function verify(key: CryptoKey, text: string, maxChars: number): Promise<unknown> {
  const [, signed = "", tag = ""] = (text.length <= maxChars && SIGNED.exec(text)) || [];
  const signature = fromBase64Url(tag);
  // The last character has two bits that say nothing: one that differs in them is another text.
  if (signed === "" || toBase64Url(signature) !== tag) return null;
  if (!(await crypto.subtle.verify("HMAC", key, signature, utf8(signed)))) return null;
  return JSON.parse(new TextDecoder().decode(fromBase64Url(signed)));
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
