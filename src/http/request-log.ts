import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { matchedRoutes } from "hono/route";
import { describeError } from "../logging/describe-error.ts";
import { log } from "../logging/log.ts";
import { sessionId, traceIdOf, turnId } from "../protocol/ids.ts";
import { API_BASE } from "../protocol/paths.ts";
import type { AppEnv } from "./app-env.ts";
import { clientError } from "./problem-response.ts";
import { rawPath } from "./raw-path.ts";
import { newTraceId, traceIdFrom } from "./trace-context.ts";

/**
 * Writes one line a request, once it has its answer; that of a stream has begun then. The address is not in it: tickets
 * and links carry their right in theirs, and files their names. Comes before all other handlers.
 */
export const requestLog = createMiddleware<AppEnv>(async (c, next) => {
  const started = Date.now();
  await next();
  const failure = c.error === undefined ? null : clientError(c.error);
  // An error that is no answer of ours is shown here, in the line of the request that it befell.
  const unforeseen = failure === c.error ? undefined : c.error;
  const { session_id, turn_id } = idsIn(rawPath(c.req.url));
  const { principal } = c.var;
  const turn = c.var.turn_id ?? turn_id;
  log(unforeseen === undefined ? "info" : "error", "request", {
    method: METHODS.has(c.req.method) ? c.req.method : "other",
    route: routeOf(c),
    status: c.res.status,
    code: failure?.code ?? CODES[c.res.status],
    duration_ms: Date.now() - started,
    session_id,
    user_id: principal?.user_id,
    token_id: principal?.token_id,
    trace_id: turn === undefined ? (traceIdFrom(c.req.header("traceparent")) ?? newTraceId()) : traceIdOf(turn),
    error: unforeseen === undefined ? undefined : describeError(unforeseen),
  });
});

/** A method is what a client says that it is. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** What is answered where nothing was thrown. */
const CODES: Partial<Record<number, string>> = { 404: "not_found", 405: "method_not_allowed" };

/** For all that lies below a path, and no route. */
const MIDDLEWARE = new Set(["*", "/*", `${API_BASE}/*`]);

/** The pattern of the route, as its documentation has it; null where there is no such route. */
function routeOf(c: Context<AppEnv>): string | null {
  const path = matchedRoutes(c).findLast((route) => !MIDDLEWARE.has(route.path))?.path;
  return path === undefined ? null : path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
}

const IDS = new RegExp(`^${API_BASE}/sessions/([^/]+)(?:/turns/([^/]+))?`);

/** Ids that can be ids: anything else is what somebody wrote. */
function idsIn(path: string): { session_id?: string | undefined; turn_id?: string | undefined } {
  const [, session, turn] = IDS.exec(path) ?? [];
  return { session_id: sessionId.safeParse(session).data, turn_id: turnId.safeParse(turn).data };
}
