import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { formatCursor, START } from "../../protocol/cursors.ts";
import { GatewayError, invalidField } from "../../protocol/errors.ts";
import { CLOSE_CODES } from "../../protocol/frames.ts";
import { eventPage } from "../../protocol/rest.ts";
import { acceptsEventStream } from "../accept.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { eventStreamResponse } from "../event-stream.ts";
import { followSession } from "../follow-turn.ts";
import { checkedCursor, eventsQuery, sessionParams, streamQuery } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { openStream, sessionOf } from "../session-stub.ts";
import { eventStream, headerParameter, jsonContent, operation } from "./answers.ts";

const getEvents = createRoute({
  ...operation({
    id: "listEvents",
    tag: "Events",
    summary: "Read or follow the log",
    description:
      "A page of the log. With `Accept: text/event-stream` the log after `Last-Event-ID`, else after `after`, and then what happens from now on.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/sessions/{session_id}/events",
  middleware: [needs("read")],
  request: { params: sessionParams, query: eventsQuery },
  parameters: [
    headerParameter(
      "Last-Event-ID",
      "For an event stream: the cursor that it goes on behind. Counts for more than `after`.",
    ),
  ],
  security: [{ bearer: ["read"] }, { ticket: [] }],
  responses: {
    200: {
      description: "A page of the log; with Accept: text/event-stream, the log and what is added to it",
      content: { ...jsonContent(eventPage), ...eventStream },
    },
  },
});

const getStream = createRoute({
  ...operation({
    id: "openStream",
    tag: "Events",
    summary: "Open a WebSocket",
    description:
      "A WebSocket on the session: events come as they happen, and frames of the client do what the routes do. `x-websocket` names the schemas of the frames and the closing codes. The first frame is `connected`. A handshake that fails is answered over HTTP; one with a ticket that does not hold is accepted and closed, since browsers cannot read a status.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/sessions/{session_id}/stream",
  middleware: [needs("read")],
  request: { params: sessionParams, query: streamQuery },
  parameters: [
    {
      ...headerParameter("Upgrade", "`websocket`, as WebSocket clients send it."),
      required: true,
      example: "websocket",
    },
  ],
  security: [{ bearer: ["read"] }, { ticket: [] }],
  responses: { 101: { description: "A WebSocket on the session" } },
  "x-websocket": {
    clientFrames: { $ref: "#/components/schemas/ClientFrame" },
    serverFrames: { $ref: "#/components/schemas/ServerFrame" },
    closeCodes: {
      [CLOSE_CODES.unauthenticated]: "The token or the ticket does not hold, or no longer.",
      [CLOSE_CODES.no_session]: "There is no such session; said to tickets.",
      [CLOSE_CODES.deleted]: "The session was deleted.",
      [CLOSE_CODES.too_far_behind]: "The client is too far behind. It may come back with its cursor.",
    },
  },
});

export const eventRoutes = new OpenAPIHono<AppEnv>()
  .openapi(getEvents, async (c) => {
    const { session_id } = c.req.valid("param");
    const { limit, types = null, ...query } = c.req.valid("query");
    const { principal } = c.var;
    const after = query.after === undefined ? formatCursor(START) : checkedCursor(query.after);
    if (c.req.method === "GET" && acceptsEventStream(c.req.header("accept"))) {
      if (c.req.query("limit") !== undefined) throw invalidField("limit", "an event stream has no pages");
      // What an EventSource sends when it comes back; its URL still has the position that it began at.
      const lastEventId = c.req.header("last-event-id");
      const reading = new AbortController();
      const follow = {
        asking: principal,
        session_id,
        after: lastEventId === undefined ? after : checkedCursor(lastEventId),
        types,
      };
      return eventStreamResponse(await followSession(c.env, follow, reading.signal), reading);
    }
    const asked = { after, limit, types, as_text: true };
    const page = unwrap(await sessionOf(c.env, session_id).events(principal, asked));
    return new Response(typeof page === "string" ? page : JSON.stringify(page), {
      headers: { "content-type": "application/json" },
    });
  })
  .openapi(getStream, async (c) => {
    const { after } = c.req.valid("query");
    if (c.req.method !== "GET" || c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new GatewayError("invalid_request", "This route is a WebSocket: ask for an upgrade.");
    }
    return openStream(c.env, c.var.principal, c.req.valid("param").session_id, {
      after: after === undefined ? null : checkedCursor(after),
      types: null,
      reader: false,
    });
  });
