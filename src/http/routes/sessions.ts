import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { listSessions } from "../../catalog/sessions-index.ts";
import { GatewayError } from "../../protocol/errors.ts";
import { STORAGE_TIMEOUT_MS } from "../../protocol/limits.ts";
import { API_BASE } from "../../protocol/paths.ts";
import { isAdmin } from "../../protocol/principal.ts";
import { createSessionBody, patchSessionBody, session, sessionPage } from "../../protocol/rest.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { createSession } from "../create-session.ts";
import { jsonBody } from "../json-body.ts";
import { idempotencyHeaders, noQuery, sessionParams, sessionsQuery } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { sessionOf } from "../session-stub.ts";
import { within } from "../within.ts";
import { body, header, json, operation } from "./answers.ts";

const postSession = createRoute({
  ...operation({
    id: "createSession",
    tag: "Sessions",
    summary: "Create a session",
    description:
      "A session has a log, a queue of turns and a workspace of its own. Everything in the body is optional, and so is the body.",
    scope: "write",
    problems: ["path_refused", "not_found", "idempotency_key_reused"],
  }),
  method: "post",
  path: "/sessions",
  middleware: [needs("write"), jsonBody],
  request: { query: noQuery, headers: idempotencyHeaders, body: body(createSessionBody) },
  responses: { 201: json("The session", session, { Location: header("The session's route.") }) },
});

const getSessions = createRoute({
  ...operation({
    id: "listSessions",
    tag: "Sessions",
    summary: "List sessions",
    description: "One's own sessions, for an admin everyone's, newest activity first.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/sessions",
  middleware: [needs("read")],
  request: { query: sessionsQuery },
  responses: { 200: json("Sessions, newest activity first", sessionPage) },
});

const getSession = createRoute({
  ...operation({
    id: "getSession",
    tag: "Sessions",
    summary: "Get a session",
    description: "The session as it is now: what runs in it, what is queued, and what it waits for.",
    scope: "read",
  }),
  method: "get",
  path: "/sessions/{session_id}",
  middleware: [needs("read")],
  request: { params: sessionParams, query: noQuery },
  responses: { 200: json("The session", session) },
});

const patchSession = createRoute({
  ...operation({
    id: "updateSession",
    tag: "Sessions",
    summary: "Change a session",
    description:
      "Changes what the body names and leaves the rest. What it says of permissions and of who is asked for how long needs the scope `approve` too.",
    scope: "write",
  }),
  method: "patch",
  path: "/sessions/{session_id}",
  middleware: [needs("write"), jsonBody],
  request: { params: sessionParams, query: noQuery, body: body(patchSessionBody) },
  responses: { 200: json("The session as it is now", session) },
});

const deleteSession = createRoute({
  ...operation({
    id: "deleteSession",
    tag: "Sessions",
    summary: "Delete a session",
    description: "Stops what runs, closes all streams and removes everything of the session. Its id never comes back.",
    scope: "write",
  }),
  method: "delete",
  path: "/sessions/{session_id}",
  middleware: [needs("write")],
  request: { params: sessionParams, query: noQuery },
  responses: { 204: { description: "The session is gone" } },
});

export const sessionRoutes = (defaultModel: string) =>
  new OpenAPIHono<AppEnv>()
    .openapi(postSession, async (c) => {
      const key = c.req.valid("header")["idempotency-key"] ?? null;
      const created = await createSession(
        c.env,
        { principal: c.var.principal, defaultModel },
        c.req.valid("json"),
        key,
      );
      c.header("location", `${API_BASE}/sessions/${created.session_id}`);
      return c.json(created, 201);
    })
    .openapi(getSessions, async (c) => {
      const { principal } = c.var;
      const { user_id, status, q, limit, cursor } = c.req.valid("query");
      if (user_id !== undefined && user_id !== principal.user_id && !isAdmin(principal)) {
        throw new GatewayError("forbidden", "Only an admin may list the sessions of others.");
      }
      const filter = {
        user_id: user_id ?? (isAdmin(principal) ? null : principal.user_id),
        status: status ?? null,
        q: q ?? null,
        limit,
        cursor: cursor ?? null,
      };
      return c.json(await within(STORAGE_TIMEOUT_MS, listSessions(c.env.CATALOG, filter)), 200);
    })
    .openapi(getSession, async (c) => {
      const object = sessionOf(c.env, c.req.valid("param").session_id);
      return c.json(unwrap(await object.describe(c.var.principal)), 200);
    })
    .openapi(patchSession, async (c) => {
      const object = sessionOf(c.env, c.req.valid("param").session_id);
      return c.json(unwrap(await object.patch(c.var.principal, c.req.valid("json"))), 200);
    })
    .openapi(deleteSession, async (c) => {
      const object = sessionOf(c.env, c.req.valid("param").session_id);
      unwrap(await object.remove(c.var.principal));
      return c.body(null, 204);
    });
