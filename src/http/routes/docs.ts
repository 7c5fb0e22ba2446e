import { Hono } from "hono";

/**
 * The page that shows `/openapi.json` and tries its calls. It talks to its own gateway alone: nothing of it comes from
 * elsewhere, and a token that is typed into it stays in it.
 */
export const docsRoutes = new Hono<{ Bindings: Cloudflare.Env }>().get("/docs", async (c) => {
  // A part of the Worker that a start does not load.
  const { wholePage } = await import("../docs/whole-page.ts");
  const nonce = crypto.randomUUID();
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  c.header("content-security-policy", policy.join("; "));
  c.header("x-frame-options", "DENY");
  return c.html(wholePage.replaceAll('nonce="NONCE"', `nonce="${nonce}"`));
});
