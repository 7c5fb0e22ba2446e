import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { sessionPage } from "../../src/protocol/rest.ts";
import { startBrowser } from "../support/browser.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { freePort } from "../support/free-port.ts";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

/** The examples as somebody has copied them, with the package beside them and nothing else. */
let folder: TemporaryFolder;
let pagePort: number;
let gateway: GatewayProcess;
beforeAll(async () => {
  folder = new TemporaryFolder();
  for (const name of ["chat-bot", "http-bot", "browser"])
    cpSync(join(PROJECT_ROOT, "examples", name), join(folder.path, name), { recursive: true });
  mkdirSync(join(folder.path, "node_modules"));
  symlinkSync(dirname(dirname(dirname(inject("builtMain")))), join(folder.path, "node_modules/turnpike"));
  pagePort = await freePort();
  const origin = `http://127.0.0.1:${pagePort}`;
  gateway = await startGateway({ env: { GATEWAY_MODEL: "demo", GATEWAY_ALLOWED_ORIGINS: origin } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

function example(name: string, env: Record<string, string> = {}) {
  const address = { TURNPIKE_GATEWAY_URL: gateway.url, TURNPIKE_TOKEN: gateway.token };
  return { cwd: join(folder.path, name), env: { ...address, ...env } };
}

async function sessionsCalled(title: string): Promise<unknown[]> {
  const headers = { authorization: `Bearer ${gateway.token}` };
  const response = await fetch(`${gateway.url}/api/v1/sessions?q=${encodeURIComponent(title)}`, { headers });
  return sessionPage.parse(await response.json()).sessions;
}

test("[EXAMPLE1] [EXAMPLE2] [EXAMPLE5] the chat bot answers in its channels, asks before it writes, and knows them again", async () => {
  await using bot = new RunningProcess(process.execPath, ["bot.mjs"], example("chat-bot"));
  const write = (line: string) => bot.child.stdin?.write(`${line}\n`);
  write("one: Write 'x' to work_products/a.txt, then say 'written'");
  write("two: Write 'y' to b.txt, then say 'kept'");
  // At once, in a channel that is new.
  bot.child.stdin?.write("three: Say 'a'\nthree: Say 'b'\n");
  await bot.printed(
    ({ stdout }) =>
      /^one> .*yes or no/m.test(stdout) && /^two> .*yes or no/m.test(stdout) && /^three> b$/m.test(stdout),
  );
  expect(bot.stdout).not.toContain("written");
  expect(await sessionsCalled("#three")).toHaveLength(1);
  write("two: no");
  await bot.printed(({ stdout }) => /^two> kept$/m.test(stdout));
  expect(bot.stdout).not.toMatch(/^two> I made/m);

  // What was asked before the bot was killed is answered after.
  await bot.killGroup("SIGKILL");
  const input = "one: yes, please\none: Read work_products/a.txt, then say 'read'\n";
  const again = await runProcess(process.execPath, ["bot.mjs"], { ...example("chat-bot"), input });
  expect({ ...again, stdout: again.stdout.trim().split("\n").toSorted() }).toEqual({
    code: 0,
    stdout: ["one> I made work_products/a.txt.", "one> read", "one> written"],
    stderr: "",
  });
  const memory = JSON.parse(readFileSync(join(folder.path, "chat-bot/channels.json"), "utf8"));
  expect(Object.keys(memory).toSorted()).toEqual(["one", "three", "two"]);
});

test("[EXAMPLE1] [EXAMPLE3] [EXAMPLE6] the bot on plain HTTP says everything once, over streams that are cut and a gateway that is away", async () => {
  await using proxy = await CuttingProxy.before(gateway.url);
  const counted = Array.from({ length: 30 }, (_, n) => `${n + 1} `).join("");
  const options = example("http-bot", { TURNPIKE_GATEWAY_URL: proxy.url });
  await using bot = new RunningProcess(process.execPath, ["bot.mjs", "Count to 30 at 20 ms"], options);
  await bot.printed(({ stdout }) => stdout.includes("3 "));
  await proxy.leave();
  // It has tried in vain, and waits longer than before.
  await bot.printed(({ stderr }) => /broke off .* 250 ms\.\n.*fetch failed.* 500 ms\.\n/.test(stderr));
  await proxy.comeBack();
  expect(await bot.outcome(), bot.stderr).toBe(0);
  expect(bot.stdout).toBe(counted);
});

test("[EXAMPLE1] curl asks, and has the result, whatever the message holds", async () => {
  const { code, stdout, stderr } = await runProcess("./ask.sh", ["Say 'a \"b\" ü'"], example("http-bot"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({ status: "complete", response_text: 'a "b" ü' });
});

test("[EXAMPLE1] [EXAMPLE4] [EXAMPLE7] [CLIENT14] the page goes on with another ticket where its connection drops", async () => {
  await using proxy = await CuttingProxy.before(gateway.url);
  const options = example("browser", { TURNPIKE_GATEWAY_URL: proxy.url, PORT: `${pagePort}` });
  await using server = new RunningProcess(process.execPath, ["server.mjs"], options);
  await server.printed(({ stdout }) => /^Open http:\S+\n/.test(stdout));
  // Another site's form would make its browser forget whose session it has.
  const foreign = { method: "POST", headers: { origin: "https://other.example" } };
  const refused = await fetch(`http://127.0.0.1:${pagePort}/session`, foreign);
  expect([refused.status, refused.headers.get("set-cookie")]).toEqual([403, null]);
  await using browser = await startBrowser();
  const { page, said } = await browser.open(`http://127.0.0.1:${pagePort}/`);
  // Whoever is quicker than the page is waits for it.
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route("**/session", async (route) => {
    await released;
    await route.continue();
  });
  await page.reload();
  const bodies: Promise<string>[] = [];
  page.on("response", (response) => {
    if (response.request().method() === "POST") bodies.push(response.text());
  });
  await page.fill("input", "Count to 60 at 20 ms");
  await page.press("input", "Enter");
  expect(await page.locator("button").isDisabled()).toBe(true);
  release();
  await page.click("button");
  await page.getByText("1 2 3").waitFor();
  proxy.cut();
  await page.getByText(/^complete, /).waitFor();
  const counted = Array.from({ length: 60 }, (_, n) => `${n + 1} `).join("");
  expect(await page.locator(".said").allTextContents()).toEqual([counted]);
  expect(await page.locator(".asked").allTextContents()).toEqual(["Count to 60 at 20 ms"]);
  // One for each of the two sockets, and at least one more.
  const answers = await Promise.all(bodies);
  expect(answers.filter((body) => body.includes('"ticket"')).length).toBeGreaterThan(2);
  expect(`${answers} ${await page.content()}`).not.toContain(gateway.token);
  expect(said.filter((line) => line.startsWith("error: "))).toEqual(said.filter((line) => line.includes("WebSocket")));
});
