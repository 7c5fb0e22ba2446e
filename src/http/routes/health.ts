import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { logError } from "../../logging/log.ts";
import { HEALTH_MAX_AGE_MS, HEALTH_TIMEOUT_MS } from "../../protocol/limits.ts";
import { type Health, health } from "../../protocol/rest.ts";
import type { AppEnv } from "../app-env.ts";
import { hasValidSettings } from "../gateway-settings.ts";
import { noQuery } from "../parameters.ts";
import { within } from "../within.ts";
import { json, operation } from "./answers.ts";

const getHealth = createRoute({
  ...operation({
    id: "getHealth",
    tag: "Gateway",
    summary: "Whether the gateway works",
    description:
      "Whether its database and its file storage can be reached, checked at most every 10 seconds. Open to everybody.",
    scope: null,
  }),
  method: "get",
  path: "/health",
  request: { query: noQuery },
  responses: {
    200: json("The gateway works", health),
    503: json("The gateway cannot reach what it needs, or is not set up correctly", health),
  },
});

/** GET /health: open to everybody, so its checks are kept for a while. */
export function healthRoutes(version: string, model: string) {
  const app = new OpenAPIHono<AppEnv>();
  let last: { at: number; checks: Health["checks"] } | null = null;
  app.openapi(getHealth, async (c) => {
    if (last === null || Date.now() - last.at >= HEALTH_MAX_AGE_MS) {
      last = { at: Date.now(), checks: await runChecks(c.env) };
    }
    const { checks } = last;
    const healthy = hasValidSettings(c.env) && checks.d1 === "ok" && checks.r2 === "ok";
    return healthy
      ? c.json({ status: "healthy" as const, version, model, checks }, 200)
      : c.json({ status: "unhealthy" as const, version, model, checks }, 503);
  });
  return app;
}

async function runChecks(env: Cloudflare.Env): Promise<Health["checks"]> {
  const [d1, r2] = await Promise.all([
    // The newest table: a database that it is missing from has not been migrated, and lets nobody in by a token of it.
    check("d1", () => env.CATALOG.prepare("SELECT 1 FROM tokens LIMIT 1").run()),
    check("r2", () => env.BLOBS.head("health")),
  ]);
  return { d1, r2 };
}

async function check(name: string, call: () => Promise<unknown>): Promise<"ok" | "failed"> {
  try {
    await within(HEALTH_TIMEOUT_MS, call());
    return "ok";
  } catch (thrown) {
    logError(`the check of ${name}`, thrown);
    return "failed";
  }
}
