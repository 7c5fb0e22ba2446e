import { ulid } from "ulid";
import { toBase64Url } from "../protocol/base64-url.ts";
import { hexSha256 } from "../protocol/sha256.ts";

/** A token is its prefix, the ULID of its id, and 256 random bits. */
const TOKEN = /^turnpike_([0-7][0-9A-HJKMNP-TV-Z]{25})_[A-Za-z0-9_-]{43}$/;

/** A token that is not stored yet. `token` is shown once; `digest` is all that is stored of it. */
export type NewToken = { token_id: string; token: string; digest: string };

export async function newToken(): Promise<NewToken> {
  const id = ulid();
  const token = `turnpike_${id}_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`;
  return { token_id: `token_${id}`, token, digest: await digestOf(token) };
}

/** The id of the token that a text has the form of; null for a text that no token has. */
export function tokenIdOf(text: string): string | null {
  const id = TOKEN.exec(text)?.[1];
  return id === undefined ? null : `token_${id}`;
}

/** The SHA-256 of a token, in hex. */
export function digestOf(token: string): Promise<string> {
  return hexSha256(new TextEncoder().encode(token));
}
