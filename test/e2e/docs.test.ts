import { expect, test } from "vitest";
import * as z from "zod";
import { session } from "../../src/protocol/rest.ts";
import { startBrowser } from "../support/browser.ts";
import { startGateway } from "../support/gateway-process.ts";

const operations = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.object({ operationId: z.string().optional() }).loose())),
});

const HOSTILE = "<img src=x onerror=document.title='taken'>";

test("[DOCS1] [DOCS2] [DOCS3] the page shows every operation, and tries them with a token that stays in it", async () => {
  await using gateway = await startGateway();
  await using browser = await startBrowser();
  const { paths } = operations.parse(await (await fetch(`${gateway.url}/openapi.json`)).json());
  const ids = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));

  const { page, said, asked } = await browser.open(`${gateway.url}/docs#createSession`);
  await page.waitForSelector(".operation");
  expect((await page.$$eval(".operation", (all) => all.map(({ id }) => id))).sort()).toEqual(ids.sort());

  // The address opened one of them.
  const create = page.locator("#createSession");
  await page.fill("#token", gateway.token);
  await create.getByLabel("Body", { exact: true }).fill(JSON.stringify({ title: HOSTILE }));
  await create.getByRole("button", { name: "Send" }).click();
  const output = create.locator("pre[aria-live]");
  await output.filter({ hasText: /^201 .*\n}$/s }).waitFor();
  const created = session.parse(JSON.parse((await output.textContent())?.split("\n\n").slice(1).join("\n\n") ?? ""));
  expect(created.title).toBe(HOSTILE);
  await create.getByRole("button", { name: "As curl" }).click();
  expect(await output.textContent()).toContain('-H "Authorization: Bearer $TOKEN"');

  await page.fill("#filter", "websocket stream");
  const stream = page.locator(".operation", { hasText: "/stream" });
  await stream.locator("summary").first().click();
  await stream.getByLabel("session_id").fill(created.session_id);
  await stream.getByRole("button", { name: "Connect" }).click();
  await stream.getByRole("button", { name: "Send frame" }).click();
  await stream.locator("pre[aria-live]").filter({ hasText: "query_complete" }).waitFor();
  await stream.getByRole("button", { name: "Stop" }).click();
  await stream.locator("pre[aria-live]").filter({ hasText: "closed: " }).waitFor();

  expect(await page.title()).toBe("Turnpike: the API");
  expect(await page.content()).not.toContain(gateway.token);
  const kept = await page.evaluate("JSON.stringify([localStorage, sessionStorage, location.href])");
  expect(kept).not.toContain(gateway.token);
  expect(said).toEqual([]);
  expect([...new Set(asked)]).toEqual([gateway.url]);
  expect(gateway.process.stdout + gateway.process.stderr).not.toContain("ticket=");
});
