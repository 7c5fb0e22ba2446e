import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { readUsage } from "../../catalog/usage.ts";
import { GatewayError } from "../../protocol/errors.ts";
import { STORAGE_TIMEOUT_MS } from "../../protocol/limits.ts";
import { isAdmin } from "../../protocol/principal.ts";
import { usageRange, usageReport } from "../../protocol/usage.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { usageQuery } from "../parameters.ts";
import { within } from "../within.ts";
import { json, operation } from "./answers.ts";

const getUsage = createRoute({
  ...operation({
    id: "getUsage",
    tag: "Usage",
    summary: "What was used",
    description:
      "Tokens, calls and costs of the turns that ended in a time, by default the last 30 days: of oneself, for an admin of everyone.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/usage",
  middleware: [needs("read")],
  request: { query: usageQuery },
  responses: { 200: json("What ended turns have used", usageReport) },
});

export const usageRoutes = new OpenAPIHono<AppEnv>().openapi(getUsage, async (c) => {
  const { principal } = c.var;
  const { user_id, group_by, limit, cursor, ...range } = c.req.valid("query");
  if (user_id !== undefined && user_id !== principal.user_id && !isAdmin(principal)) {
    throw new GatewayError("forbidden", "Only an admin may see what others have used.");
  }
  const asked = {
    ...usageRange(range, Date.now()),
    group_by,
    user_id: user_id ?? (isAdmin(principal) ? null : principal.user_id),
    limit,
    cursor: cursor ?? null,
  };
  return c.json(await within(STORAGE_TIMEOUT_MS, readUsage(c.env.CATALOG, asked)), 200);
});
