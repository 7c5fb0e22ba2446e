import { OpenAPIHono } from "@hono/zod-openapi";
import { GatewayError, invalidRequest, notFound } from "../protocol/errors.ts";
import { API_BASE } from "../protocol/paths.ts";
import { allowedUsers } from "./allowed-users.ts";
import type { AppEnv, AppOptions } from "./app-env.ts";
import { authentication } from "./auth.ts";
import { authenticateGatewayToken, tokenHolds as gatewayTokenHolds } from "./authenticate.ts";
import { cors } from "./cors.ts";
import { validSettings } from "./gateway-settings.ts";
import { INPUT_LINK_BASE } from "./link-token.ts";
import { answerPages } from "./openapi/answer-pages.ts";
import { declaredRoutes } from "./openapi/declared-routes.ts";
import { ownOrigin } from "./own-origin.ts";
import { problemResponse } from "./problem-response.ts";
import { rateLimit } from "./rate-limit.ts";
import { rawPath } from "./raw-path.ts";
import { requestLog } from "./request-log.ts";
import { answerLinkRoutes } from "./routes/answer-links.ts";
import { docsRoutes } from "./routes/docs.ts";
import { eventRoutes } from "./routes/events.ts";
import { fileRoutes } from "./routes/files.ts";
import { healthRoutes } from "./routes/health.ts";
import { inputRoutes } from "./routes/inputs.ts";
import { openApiRoutes } from "./routes/openapi.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { ticketRoutes } from "./routes/tickets.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { turnRoutes } from "./routes/turns.ts";
import { usageRoutes } from "./routes/usage.ts";
import { secureHeaders } from "./secure-headers.ts";
import { revocationRounds } from "./tell-revoked.ts";
import { ticketRefusal, ticketUse } from "./tickets.ts";

/**
 * The gateway's HTTP front. A request is authenticated before anything else is looked at, then it is parsed whole, and
 * only then is its session asked: what a request is refused with never depends on whose the session is.
 */
export function createApp({
  version,
  defaultModel,
  authenticate = authenticateGatewayToken,
  tokenHolds = gatewayTokenHolds,
}: AppOptions) {
  const app = new OpenAPIHono<AppEnv>({
    // The router must see a file's path as it was sent: decoded, `%2f` would be one more segment.
    getPath: (request) => rawPath(request.url),
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });
  app.onError((error) => problemResponse(error));
  app.notFound(() => problemResponse(notFound()));

  app.use(requestLog, secureHeaders, revocationRounds);
  app.use(
    `${API_BASE}/*`,
    cors((path) => methodsAt(app, path)),
    ticketRefusal,
  );
  app.route(API_BASE, healthRoutes(version, defaultModel));
  app.use(
    `${API_BASE}/*`,
    authentication(authenticate),
    rateLimit,
    validSettings,
    allowedUsers,
    ownOrigin,
    ticketUse(tokenHolds),
  );
  for (const routes of [
    sessionRoutes(defaultModel),
    turnRoutes,
    inputRoutes,
    eventRoutes,
    ticketRoutes,
    fileRoutes,
    usageRoutes,
    tokenRoutes,
  ])
    app.route(API_BASE, routes);
  app.route(INPUT_LINK_BASE, answerLinkRoutes(tokenHolds));
  app.route("/", docsRoutes);
  app.route(
    "/",
    openApiRoutes(version, () => [...declaredRoutes(app), ...answerPages]),
  );
  refuseOtherMethods(app);
  return app;
}

/** What the route with this path takes; nothing where there is none. */
function methodsAt(app: OpenAPIHono<AppEnv>, path: string): string[] {
  const taken = ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  );
  return taken.includes("GET") ? ["HEAD", ...taken] : taken;
}

/** Answers every method that a known path does not take. Comes after all routes. */
function refuseOtherMethods(app: OpenAPIHono<AppEnv>): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    const known = methods.get(path) ?? new Set();
    methods.set(path, method === "GET" ? known.add("GET").add("HEAD") : known.add(method));
  }
  for (const [path, allowed] of methods) {
    app.all(path, () => {
      const response = problemResponse(
        new GatewayError("method_not_allowed", `This route takes ${[...allowed].join(", ")}.`),
      );
      response.headers.set("allow", [...allowed].join(", "));
      return response;
    });
  }
}
