import { createRoute, OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import type { AppEnv } from "../app-env.ts";
import { describeApi } from "../openapi/document.ts";
import { noQuery } from "../parameters.ts";
import { operation } from "./answers.ts";

const getDocument = createRoute({
  ...operation({
    id: "getOpenApi",
    tag: "Gateway",
    summary: "This document",
    description: "The API as OpenAPI 3.1. `servers` names the address that it was asked for at. Open to everybody.",
    scope: null,
  }),
  method: "get",
  path: "/openapi.json",
  request: { query: noQuery },
  responses: {
    200: {
      description: "The document",
      content: {
        "application/json": {
          schema: { type: "object" as const, required: ["openapi", "info", "servers", "paths", "components"] },
          example: { openapi: "3.1.1", info: {}, servers: [], paths: {}, components: {} },
        },
      },
    },
  },
});

/** GET /openapi.json, made when it is first asked for: it takes as long as many requests, and few ever want it. */
export function openApiRoutes(version: string, routes: () => RouteConfig[]) {
  let document: ReturnType<typeof describeApi> | null = null;
  return new OpenAPIHono<AppEnv>().openapi(getDocument, (c) => {
    document ??= describeApi(routes(), version);
    const servers = [{ url: new URL(c.req.url).origin, description: "This gateway" }];
    return Response.json({ ...document, servers });
  });
}
