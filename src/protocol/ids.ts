import * as z from "zod";

/** What an id names. Every id is `<kind>_<ULID>`. */
export type IdKind = "session" | "turn" | "input" | "stage" | "space" | "token";

/** As a pattern. */
export const ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}";

const idSchema = <K extends IdKind>(kind: K) => z.string().regex(new RegExp(`^${kind}_${ULID}$`), `not a ${kind} id`);

export const sessionId = idSchema("session");
export const turnId = idSchema("turn");
export const inputId = idSchema("input");
export const tokenId = idSchema("token");

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * The trace id of a turn: the 128 bits of its ULID as 32 hex digits, the shape that W3C trace context asks for.
 * It follows from the turn id, so it is stored nowhere.
 */
export function traceIdOf(id: string): string {
  let bits = 0n;
  for (const char of id.slice(-26)) bits = (bits << 5n) | BigInt(CROCKFORD.indexOf(char));
  return bits.toString(16).padStart(32, "0");
}
