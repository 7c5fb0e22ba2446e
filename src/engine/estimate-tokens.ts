import { bytesOf } from "../protocol/bytes-of.ts";

/**
 * Text of Western languages has more than three bytes a token, other scripts, whose characters take three bytes, about
 * one token a character. So this is rather too much than too little; where it is too little the model's server says so.
 */
const BYTES_PER_TOKEN = 3;

/** About how many tokens a part of a request takes. */
export function estimateTokens(value: unknown): number {
  return tokensOfBytes(bytesOf(JSON.stringify(value)));
}

/** About how many tokens so many bytes of UTF-8 are. */
export function tokensOfBytes(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}
