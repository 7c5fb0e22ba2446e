import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { invalidField } from "../../protocol/errors.ts";
import { API_BASE } from "../../protocol/paths.ts";
import {
  acceptedTurn,
  cancelBody,
  cancelled,
  hasEnded,
  requireInput,
  resultOf,
  submitTurnBody,
  turn,
  turnPage,
  turnResult,
} from "../../protocol/rest.ts";
import { acceptsEventStream } from "../accept.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { eventStreamResponse } from "../event-stream.ts";
import { followSession, turnFrames, waitForTurn } from "../follow-turn.ts";
import { jsonBody } from "../json-body.ts";
import { idempotencyHeaders, noQuery, pageQuery, sessionParams, submitQuery, turnParams } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { sessionOf } from "../session-stub.ts";
import { body, eventStream, header, json, jsonContent, operation } from "./answers.ts";

const postTurn = createRoute({
  ...operation({
    id: "submitTurn",
    tag: "Turns",
    summary: "Send a message",
    description:
      "Starts a turn, or does what `on_busy` says while one runs. It is answered at once with 202. With `wait` the answer is the turn's result, if it ends or waits for somebody in time; with `Accept: text/event-stream` it is the turn's events, up to ITERATION_END. A client that goes away cancels nothing.",
    scope: "write",
    problems: ["session_busy", "idempotency_key_reused", "blank_input", "queue_full"],
  }),
  method: "post",
  path: "/sessions/{session_id}/turns",
  middleware: [needs("write"), jsonBody],
  request: { params: sessionParams, query: submitQuery, headers: idempotencyHeaders, body: body(submitTurnBody) },
  responses: {
    200: {
      description:
        "With wait, the result of a turn that ended, or waits for somebody, in time; with Accept: text/event-stream, its events",
      headers: {
        "Turnpike-Turn-Id": { ...header("The turn's id, with an event stream."), required: false },
      },
      content: { ...jsonContent(turnResult), ...eventStream },
    },
    202: json("The turn was accepted", acceptedTurn, { Location: header("The turn's route.") }),
  },
});

const getTurns = createRoute({
  ...operation({
    id: "listTurns",
    tag: "Turns",
    summary: "List turns",
    description: "The turns of a session, newest first.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/sessions/{session_id}/turns",
  middleware: [needs("read")],
  request: { params: sessionParams, query: pageQuery },
  responses: { 200: json("Turns, newest first", turnPage) },
});

const getTurn = createRoute({
  ...operation({
    id: "getTurn",
    tag: "Turns",
    summary: "Get a turn",
    description: "A turn and what it came to so far.",
    scope: "read",
  }),
  method: "get",
  path: "/sessions/{session_id}/turns/{turn_id}",
  middleware: [needs("read")],
  request: { params: turnParams, query: noQuery },
  responses: { 200: json("The turn", turn) },
});

const deleteTurn = createRoute({
  ...operation({
    id: "withdrawTurn",
    tag: "Turns",
    summary: "Take a turn out of the queue",
    description: "For a turn that runs it is `session_busy`: cancel that. For one that has ended it is `not_found`.",
    scope: "write",
    problems: ["session_busy"],
  }),
  method: "delete",
  path: "/sessions/{session_id}/turns/{turn_id}",
  middleware: [needs("write")],
  request: { params: turnParams, query: noQuery },
  responses: { 204: { description: "The turn was taken out of the queue" } },
});

const postCancel = createRoute({
  ...operation({
    id: "cancelTurn",
    tag: "Turns",
    summary: "Stop the running turn",
    description:
      "Answers once it has stopped. Queued turns stay, and the next one starts. With `turn_id` that turn is stopped and no other.",
    scope: "write",
  }),
  method: "post",
  path: "/sessions/{session_id}/cancel",
  middleware: [needs("write"), jsonBody],
  request: { params: sessionParams, query: noQuery, body: body(cancelBody) },
  responses: { 200: json("The turn that was stopped", cancelled) },
});

export const turnRoutes = new OpenAPIHono<AppEnv>()
  .openapi(postTurn, async (c) => {
    const { session_id } = c.req.valid("param");
    const { wait } = c.req.valid("query");
    const { principal } = c.var;
    const input = c.req.valid("json");
    requireInput(input);
    const streams = acceptsEventStream(c.req.header("accept"));
    if (streams && wait !== undefined) throw invalidField("wait", "an event stream does not wait");
    const object = sessionOf(c.env, session_id);
    const key = c.req.valid("header")["idempotency-key"] ?? null;
    const accepted = unwrap(await object.submit(principal, input, key));
    c.set("turn_id", accepted.turn_id);
    const follow = { asking: principal, session_id, after: accepted.cursor };
    if (streams) {
      const reading = new AbortController();
      const frames = await followSession(c.env, { ...follow, types: null }, reading.signal);
      return eventStreamResponse(turnFrames(frames, accepted.turn_id), reading, {
        "turnpike-turn-id": accepted.turn_id,
      });
    }
    if (wait !== undefined) {
      const current = await waitForTurn(c.env, follow, accepted.turn_id, wait * 1_000);
      if (hasEnded(current.status) || current.status === "waiting") return c.json(resultOf(current), 200);
    }
    c.header("location", `${API_BASE}/sessions/${session_id}/turns/${accepted.turn_id}`);
    return c.json(accepted, 202);
  })
  .openapi(getTurns, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    return c.json(unwrap(await object.turns(c.var.principal, { limit, cursor: cursor ?? null })), 200);
  })
  .openapi(getTurn, async (c) => {
    const { session_id, turn_id } = c.req.valid("param");
    return c.json(unwrap(await sessionOf(c.env, session_id).turn(c.var.principal, turn_id)), 200);
  })
  .openapi(deleteTurn, async (c) => {
    const { session_id, turn_id } = c.req.valid("param");
    unwrap(await sessionOf(c.env, session_id).withdraw(c.var.principal, turn_id));
    return c.body(null, 204);
  })
  .openapi(postCancel, async (c) => {
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    const { turn_id } = c.req.valid("json");
    return c.json(unwrap(await object.cancel(c.var.principal, turn_id)), 200);
  });
