import { type CreatedToken, type CreateTokenBody, createdToken } from "../protocol/tokens.ts";
import { type StoredToken, toTokenInfo } from "./token-statements.ts";
import { newToken } from "./token-text.ts";

/** A token as it is to be stored, and as it is shown this once. */
export type MadeToken = { stored: Omit<StoredToken, "revoked_at">; shown: CreatedToken };

/** Makes a token of what was asked for, which holds once it is stored. `now` is when, in ms since the epoch. */
export async function makeToken(asked: CreateTokenBody, now: number): Promise<MadeToken> {
  const { name, user_id, scopes, expires_at } = asked;
  const { token_id, token, digest } = await newToken();
  const ends = expires_at == null ? null : Date.parse(expires_at);
  const stored = { token_id, digest, name, user_id, scopes, created_at: now, expires_at: ends };
  return { stored, shown: createdToken.parse({ ...toTokenInfo({ ...stored, revoked_at: null }), token }) };
}
