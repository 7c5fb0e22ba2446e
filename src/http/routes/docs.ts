import { Hono } from "hono";
import style from "../docs/docs.css";
import page from "../docs/docs.html";
import script from "../docs/docs.js";

/** One answer with all that it needs: its policy names no address that a script or a style could come from. */
const whole = page.replace("/* STYLE */", () => `\n${style}`).replace("/* SCRIPT */", () => `\n${script}`);

/**
 * The page that shows `/openapi.json` and tries its calls. It talks to its own gateway alone: nothing of it comes from
 * elsewhere, and a token that is typed into it stays in it.
 */
export const docsRoutes = new Hono<{ Bindings: Cloudflare.Env }>().get("/docs", (c) => {
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
  return c.html(whole.replaceAll('nonce="NONCE"', `nonce="${nonce}"`));
});
