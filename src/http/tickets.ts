import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { GatewayError, unauthenticated } from "../protocol/errors.ts";
import { CLOSE_CODES } from "../protocol/frames.ts";
import { TICKET_TTL_MS } from "../protocol/limits.ts";
import { API_BASE } from "../protocol/paths.ts";
import type { AppEnv, TokenHolds } from "./app-env.ts";
import { isForeign } from "./own-origin.ts";
import { unwrap } from "./problem-response.ts";
import { rawPath } from "./raw-path.ts";
import { sessionOf } from "./session-stub.ts";
import { type TicketGrant, ticketKey, verifyTicket } from "./ticket-token.ts";

const ROUTES = new RegExp(`^${API_BASE}/sessions/([^/]+)/(stream|events)$`);

/** The ticket that a request came with in the place of a token, and what it is to open; null where none counts. */
function shownTicket(c: Context<AppEnv>) {
  const [, session_id, route] = ROUTES.exec(rawPath(c.req.url)) ?? [];
  const ticket = c.req.query("ticket");
  if (session_id === undefined || ticket === undefined || c.req.method !== "GET") return null;
  return c.req.header("authorization") === undefined ? { ticket, session_id, route } : null;
}

/**
 * What the ticket of a request grants, as far as it says so itself: no session is asked. Null where no ticket counts.
 *
 * @throws GatewayError `unauthenticated`
 */
export async function ticketGrant(c: Context<AppEnv>): Promise<TicketGrant | null> {
  const shown = shownTicket(c);
  if (shown === null) return null;
  const grant = await verifyTicket(await ticketKey(c.env), shown.ticket);
  if (grant === null || grant.session_id !== shown.session_id || grant.expiresAt <= Date.now()) {
    throw unauthenticated();
  }
  return grant;
}

/** Uses the ticket of a request up, if it came with one. Comes after all that is refused without it. */
export function ticketUse(tokenHolds: TokenHolds) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const { ticket } = c.var;
    if (ticket !== undefined) {
      const { asking, session_id, ticket_id, expiresAt } = ticket;
      // Remembered for longer than it holds: the session's clock may be ahead of the one that says so.
      const use = { ticket_id, expires_at: expiresAt + TICKET_TTL_MS };
      unwrap(await sessionOf(c.env, session_id).useTicket(asking, use));
      if (asking.token_id !== undefined && !(await tokenHolds(c.env, asking.token_id))) throw unauthenticated();
    }
    await next();
  });
}

/** Closes a WebSocket whose ticket is refused: a browser cannot read the status of a handshake that failed. */
export const ticketRefusal = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  // A page that may not open a stream is told nothing of its ticket, whatever it is.
  const code = isForeign(c) ? null : closeCodeOf(c.error);
  if (code === null || shownTicket(c)?.route !== "stream") return;
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return;
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(code, code === CLOSE_CODES.no_session ? "there is no such session" : "the ticket is not valid");
  // The headers of the answer that was to be are not for this one.
  c.res = undefined;
  c.res = new Response(null, { status: 101, webSocket: client });
});

function closeCodeOf(error: Error | undefined): number | null {
  if (!(error instanceof GatewayError)) return null;
  if (error.code === "unauthenticated" || error.code === "forbidden") return CLOSE_CODES.unauthenticated;
  return error.code === "not_found" ? CLOSE_CODES.no_session : null;
}
