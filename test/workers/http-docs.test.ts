import { expect, test } from "vitest";
import { ask } from "./http-scene.ts";

test("[DOCS1] [DOCS2] the page of the API is open to everybody, and runs nothing that is not in it", async () => {
  const response = await ask("GET", "/docs", { token: null });
  const page = await response.text();
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/html; charset=UTF-8");
  const policy = response.headers.get("content-security-policy") ?? "";
  const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
  expect(policy.split("; ")).toEqual([
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ]);
  expect(page.match(/<(script|style)\b[^>]*>/g)).toEqual([
    `<style nonce="${nonce}">`,
    `<script type="module" nonce="${nonce}">`,
  ]);
  expect(page).toContain(":root {");
  expect(page).toContain("document.getElementById");
  // No address but its own, and nothing that makes markup of what it is given.
  expect(page).not.toMatch(/https?:\/\/|innerHTML|insertAdjacent|document\.write|localStorage|sessionStorage/);
  const again = await (await ask("GET", "/docs", { token: null })).text();
  expect(again).not.toContain(nonce);
});
