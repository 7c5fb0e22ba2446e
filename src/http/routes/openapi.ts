import { createRoute, OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import type { AppEnv } from "../app-env.ts";
import type { describeApi } from "../openapi/document.ts";
import { noQuery } from "../parameters.ts";
import { operation } from "./answers.ts";

const declared = {
  ...operation({
    id: "getOpenApi",
    tag: "Gateway",
    summary: "This document",
    description: "The API as OpenAPI 3.1. `servers` names the address that it was asked for at. Open to everybody.",
    scope: null,
  }),
  method: "get" as const,
  path: "/openapi.json",
  request: { query: noQuery },
};
const content = {
  "application/json": {
    schema: { type: "object" as const, properties: { openapi: { const: "3.1.1" } }, required: ["openapi"] },
    example: { openapi: "3.1.1" },
  },
};

// No schema of zod's is the document's own, which is how a route would have to say what JSON it answers with.
const getDocument = createRoute({ ...declared, hide: true, responses: { 200: { description: "The document" } } });

/** GET /openapi.json, made when it is first asked for: it takes as long as many requests, and few ever want it. */
export function openApiRoutes(version: string, routes: () => RouteConfig[]) {
  let document: ReturnType<typeof describeApi> | null = null;
  const app = new OpenAPIHono<AppEnv>();
  app.openAPIRegistry.registerPath({ ...declared, responses: { 200: { description: "The document", content } } });
  return app.openapi(getDocument, async (c) => {
    // Its texts and examples are a part of the Worker that a start does not load.
    const openApi = await import("../openapi/document.ts");
    document ??= openApi.describeApi(routes(), version);
    const servers = [{ url: new URL(c.req.url).origin, description: "This gateway" }];
    return Response.json({ ...document, servers });
  });
}
