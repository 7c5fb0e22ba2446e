import * as z from "zod";
import { toBase64Url } from "../protocol/base64-url.ts";
import { sessionId } from "../protocol/ids.ts";
import { TICKET_MAX_CHARS } from "../protocol/limits.ts";
import { type Principal, scope } from "../protocol/principal.ts";
import { sign, signingKey, verify } from "./signed.ts";

/** What a ticket lets its holder do: open one stream of a session, once, until it expires (ms since the epoch). */
export type TicketGrant = {
  /** As whom, with which scopes; the token is that which the ticket was made with. */
  asking: Principal;
  session_id: string;
  expiresAt: number;
  /** Tells the ticket from others, and does not show it. */
  ticket_id: string;
};

const KEY = { info: "turnpike: tickets that open a stream, version 1", what: "tickets" };

/** User, scopes, token and when that ends, session, when the ticket expires, and its number. */
const payload = z.tuple([
  z.string(),
  z.array(scope),
  z.string().nullable(),
  z.int().nullable(),
  sessionId,
  z.int(),
  z.string(),
]);

/** The key that signs tickets. @throws GatewayError `unavailable` where the gateway has no secret */
export function ticketKey(env: Pick<Cloudflare.Env, "GATEWAY_LINK_KEY" | "GATEWAY_TOKEN">): Promise<CryptoKey> {
  return signingKey(env, KEY);
}

/** 128 random bits. */
export function newTicketId(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
}

/** A grant as text for a URL. */
export function signTicket(key: CryptoKey, { asking, session_id, expiresAt, ticket_id }: TicketGrant): Promise<string> {
  const { user_id, scopes, token_id = null, expires_at = null } = asking;
  const fields: z.infer<typeof payload> = [user_id, scopes, token_id, expires_at, session_id, expiresAt, ticket_id];
  return sign(key, fields);
}

/** What a ticket grants; null for one that this key did not sign. Whether it has ended or was used is not looked at. */
export async function verifyTicket(key: CryptoKey, ticket: string): Promise<TicketGrant | null> {
  const fields = await verify(key, ticket, TICKET_MAX_CHARS);
  if (fields === null) return null;
  const [user_id, scopes, token_id, expires_at, session_id, expiresAt, ticket_id] = payload.parse(fields);
  const asking: Principal = {
    user_id,
    scopes,
    ...(token_id === null ? {} : { token_id }),
    ...(expires_at === null ? {} : { expires_at }),
  };
  return { asking, session_id, expiresAt, ticket_id };
}
