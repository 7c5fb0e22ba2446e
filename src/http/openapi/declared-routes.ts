import type { OpenAPIHono, RouteConfig } from "@hono/zod-openapi";
import type { AppEnv } from "../app-env.ts";

/** The routes of an app, as they were declared. */
export function declaredRoutes(app: OpenAPIHono<AppEnv>): RouteConfig[] {
  return app.openAPIRegistry.definitions.flatMap((one) => ("route" in one && one.type === "route" ? [one.route] : []));
}
