import * as z from "zod";
import { time } from "./events.ts";
import { tokenId, ULID } from "./ids.ts";
import { TOKEN_NAME_MAX_CHARS } from "./limits.ts";
import { scope } from "./principal.ts";
import { userId } from "./user-id.ts";
import { wellFormedText as text } from "./well-formed-text.ts";

/** At least one scope, each once. */
const scopes = z
  .array(scope)
  .min(1)
  .refine((given) => new Set(given).size === given.length, "each scope once");

export const createTokenBody = z.strictObject({
  /** For people, to tell it from others. */
  name: text()
    .min(1)
    .max(TOKEN_NAME_MAX_CHARS)
    .regex(/^[^\p{Cc}]+$/u, "no control characters"),
  /** Whose sessions it opens. */
  user_id: userId,
  scopes,
  /** Absent or null: it holds until it is revoked. */
  expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
});
export type CreateTokenBody = z.infer<typeof createTokenBody>;

/** A token as it is listed: all but what it takes to use it. */
export const tokenInfo = z.strictObject({
  token_id: tokenId,
  name: z.string(),
  user_id: z.string(),
  scopes,
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
});
export type TokenInfo = z.infer<typeof tokenInfo>;

/** The one time that the token itself is shown: with the ULID of its id, and 256 random bits. */
export const createdToken = tokenInfo.extend({
  token: z.string().regex(new RegExp(`^turnpike_${ULID}_[A-Za-z0-9_-]{43}$`), "not a token"),
});
export type CreatedToken = z.infer<typeof createdToken>;

export const tokenPage = z.strictObject({ tokens: z.array(tokenInfo), next_cursor: z.string().nullable() });
export type TokenPage = z.infer<typeof tokenPage>;

export const ticketBody = z.strictObject({
  /** What the ticket's holder may do; all that who asks for it may do, where nothing is said. */
  scopes: scopes.optional(),
});
export type TicketBody = z.infer<typeof ticketBody>;

/** What opens one stream of one session, once, in the place of a token: `?ticket=` on `/stream` and `/events`. */
export const ticket = z.strictObject({ ticket: z.string(), expires_at: time });
export type Ticket = z.infer<typeof ticket>;
