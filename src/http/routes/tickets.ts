import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { invalidField } from "../../protocol/errors.ts";
import { toTimestamp } from "../../protocol/events.ts";
import { TICKET_TTL_MS } from "../../protocol/limits.ts";
import { requireScope } from "../../protocol/principal.ts";
import { ticket, ticketBody } from "../../protocol/tokens.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { jsonBody } from "../json-body.ts";
import { noQuery, sessionParams } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { sessionOf } from "../session-stub.ts";
import { newTicketId, signTicket, ticketKey } from "../ticket-token.ts";
import { body, json, operation } from "./answers.ts";

const postTicket = createRoute({
  ...operation({
    id: "createTicket",
    tag: "Sessions",
    summary: "Make a ticket",
    description:
      "What opens one stream of this session once, within a minute, in the place of a token: `?ticket=` on `/stream` and `/events`, for browsers, which can send no header with them.",
    scope: "read",
  }),
  method: "post",
  path: "/sessions/{session_id}/tickets",
  middleware: [needs("read"), jsonBody],
  request: { params: sessionParams, query: noQuery, body: body(ticketBody) },
  responses: { 201: json("A ticket that opens one stream once, shown here and nowhere else", ticket) },
});

/** What opens a stream in a browser, which can send no header with a WebSocket or an EventSource. */
export const ticketRoutes = new OpenAPIHono<AppEnv>().openapi(postTicket, async (c) => {
  const { principal } = c.var;
  const { session_id } = c.req.valid("param");
  const { scopes = principal.scopes } = c.req.valid("json");
  for (const scope of scopes) requireScope(principal, scope);
  if (!scopes.includes("read")) throw invalidField("scopes", 'a ticket opens what is read, and so needs "read"');
  const session = unwrap(await sessionOf(c.env, session_id).describe(principal));
  // A ticket that an admin makes for the page of a user does what that user may, and no more.
  const user_id = scopes.includes("admin") ? principal.user_id : session.user_id;
  const expiresAt = Math.min(Date.now() + TICKET_TTL_MS, principal.expires_at ?? Infinity);
  const grant = { asking: { ...principal, user_id, scopes }, session_id, expiresAt, ticket_id: newTicketId() };
  const signed = await signTicket(await ticketKey(c.env), grant);
  return c.json({ ticket: signed, expires_at: toTimestamp(expiresAt) }, 201);
});
