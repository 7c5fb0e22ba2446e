import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { formatCursor, START } from "../../protocol/cursors.ts";
import { GatewayError, invalidField } from "../../protocol/errors.ts";
import { eventPage } from "../../protocol/rest.ts";
import { acceptsEventStream } from "../accept.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { eventStreamResponse } from "../event-stream.ts";
import { followSession } from "../follow-turn.ts";
import { checkedCursor, eventsQuery, sessionParams, streamQuery } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { openStream, sessionOf } from "../session-stub.ts";
import { eventStream, jsonContent, problems } from "./answers.ts";

const getEvents = createRoute({
  method: "get",
  path: "/sessions/{session_id}/events",
  middleware: [needs("read")],
  request: { params: sessionParams, query: eventsQuery },
  responses: {
    200: {
      description: "A page of the log; with Accept: text/event-stream, the log and what is added to it",
      content: { ...jsonContent(eventPage), ...eventStream },
    },
    ...problems,
  },
});

const getStream = createRoute({
  method: "get",
  path: "/sessions/{session_id}/stream",
  middleware: [needs("read")],
  request: { params: sessionParams, query: streamQuery },
  responses: { 101: { description: "A WebSocket on the session" }, ...problems },
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
    return c.json(unwrap(await sessionOf(c.env, session_id).events(principal, { after, limit, types })), 200);
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
