import { expect, test } from "vitest";
import type { WranglerAnswer } from "../../src/cli/call-wrangler.ts";
import { addressOf, type Deploying, deployGateway } from "../../src/cli/deploy-gateway.ts";
import { deployedAddress } from "../../src/cli/deployed-address.ts";
import { serveHttp } from "../support/serve-http.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HEALTHY = { status: "healthy", version: "1", model: "demo", checks: { d1: "ok", r2: "ok" } };
const UNHEALTHY = { ...HEALTHY, status: "unhealthy", checks: { d1: "failed", r2: "ok" } };

/** A Cloudflare account as wrangler shows it: what it was called with, and what came of it. */
class Account {
  readonly calls: string[] = [];
  readonly typedIn: (string | undefined)[] = [];
  readonly told: string[] = [];
  readonly shown: string[] = [];
  loggedIn = true;
  hasDatabase = false;
  migrated = false;
  secrets: string[] = [];
  /** The call that fails. */
  failing = "";
  readonly url: string;

  /** The clone that it is deployed from. */
  readonly root: string;

  constructor(url: string, root: string) {
    this.url = url;
    this.root = root;
  }

  wrangler = async (args: string[], stdin?: string): Promise<WranglerAnswer> => {
    const call = args.join(" ");
    this.calls.push(call);
    this.typedIn.push(stdin);
    const answer = (stdout: unknown, reported: unknown[] = []): WranglerAnswer => {
      return { ok: true, stdout: JSON.stringify(stdout), said: "", reported };
    };
    if (call === this.failing) return { ok: false, stdout: "", said: `no ${call} today: ${stdin ?? ""}`, reported: [] };
    switch (call) {
      case "whoami --json":
        return { ...answer({ loggedIn: this.loggedIn }), ok: this.loggedIn };
      case "d1 list --json":
        return answer(this.hasDatabase ? [{ uuid: "1", name: "turnpike", version: "production" }] : []);
      case "d1 migrations apply CATALOG --remote":
        if (!this.hasDatabase) return { ok: false, stdout: "", said: "no database", reported: [] };
        this.migrated = true;
        return answer("applied");
      case "deploy":
        this.hasDatabase = true;
        return answer("deployed", [{ type: "wrangler-session" }, { type: "deploy", targets: [this.url] }]);
      case "secret list --format json":
        return answer(this.secrets.map((name) => ({ name, type: "secret_text" })));
      case "secret bulk":
        this.secrets.push(...Object.keys(JSON.parse(stdin ?? "{}")));
        return answer("set");
      default:
        throw new Error(`wrangler knows no ${call}`);
    }
  };

  /** Deploys, where `typed` are the lines that somebody types; null for nobody. */
  deploy(typed: string[] | null, env: Deploying["env"] = {}) {
    const lines = [...(typed ?? [])];
    const desk = {
      askHidden: async () => lines.shift() ?? "",
      show: (text: string) => {
        this.shown.push(text);
      },
    };
    let looks = 0;
    return deployGateway({
      root: this.root,
      wrangler: this.wrangler,
      env,
      database: { name: "turnpike", id: undefined },
      desk: typed === null ? null : desk,
      tell: (line) => this.told.push(line),
      wait: async () => ++looks < 3,
    });
  }
}

/** An account, and the gateway that it serves: healthy once its tables are there. */
async function openAccount() {
  const seen: { account?: Account } = {};
  const folder = new TemporaryFolder();
  const served = await serveHttp((_, response) => {
    const migrated = seen.account?.migrated === true;
    response.writeHead(migrated ? 200 : 503, { "content-type": "application/json" });
    response.end(JSON.stringify(migrated ? HEALTHY : UNHEALTHY));
  });
  const account = new Account(served.baseUrl.replace(/\/$/, ""), folder.path);
  seen.account = account;
  const close = async () => {
    folder[Symbol.dispose]();
    await served[Symbol.asyncDispose]();
  };
  return Object.assign(account, { [Symbol.asyncDispose]: close });
}

const LIST = "d1 list --json";
const MIGRATE = "d1 migrations apply CATALOG --remote";
const SECRETS = "secret list --format json";

test("[DEPLOY1] [DEPLOY2] [DEPLOY4] [DEPLOY10] the first deploy makes everything, and a made token is shown once and is nowhere else", async () => {
  await using account = await openAccount();
  const { url, left } = await account.deploy(["", "sk-ant-typed"]);
  expect({ url, left }).toEqual({ url: account.url, left: [] });
  expect(deployedAddress(account.root)).toBe(account.url);
  expect(account.calls).toEqual(["whoami --json", LIST, "deploy", MIGRATE, SECRETS, "secret bulk"]);
  const { GATEWAY_TOKEN = "", ...others } = JSON.parse(account.typedIn.at(-1) ?? "");
  expect(others).toEqual({ ANTHROPIC_API_KEY: "sk-ant-typed" });
  expect(GATEWAY_TOKEN).toMatch(/^tp_[\w-]{43}$/);
  expect(account.shown).toEqual([expect.stringContaining(GATEWAY_TOKEN)]);
  expect(`${account.calls}${account.told}`).not.toMatch(/tp_|sk-ant/);
});

test("[DEPLOY2] [DEPLOY4] a later deploy migrates before its code goes out, and asks for nothing", async () => {
  await using account = await openAccount();
  account.hasDatabase = true;
  account.secrets = ["GATEWAY_TOKEN"];
  const { left } = await account.deploy(["never typed"], { CLOUDFLARE_API_TOKEN: "set" });
  expect(account.calls).toEqual([LIST, MIGRATE, "deploy", SECRETS]);
  expect(left).toEqual(["npx wrangler secret put ANTHROPIC_API_KEY"]);
});

test("[DEPLOY1] without a login it says what to do and does nothing", async () => {
  await using account = await openAccount();
  account.loggedIn = false;
  const message = expect.stringMatching(/npx wrangler login.*CLOUDFLARE_API_TOKEN/);
  await expect(account.deploy([])).rejects.toMatchObject({ exitCode: 1, message });
  expect(account.calls).toEqual(["whoami --json"]);
});

test("[DEPLOY3] a migration that fails keeps the new code from going out, and the next run goes on", async () => {
  await using account = await openAccount();
  account.hasDatabase = true;
  account.secrets = ["GATEWAY_TOKEN", "ANTHROPIC_API_KEY"];
  account.failing = MIGRATE;
  const message = expect.stringMatching(
    /^The D1 migrations could not be applied\..*\n\nno d1 migrations .*run this again/s,
  );
  await expect(account.deploy(null)).rejects.toMatchObject({ exitCode: 1, message });
  expect(account.calls).not.toContain("deploy");
  account.failing = "";
  expect(await account.deploy(null)).toEqual({ url: account.url, left: [] });
});

test("[DEPLOY3] [DEPLOY4] secrets that could not be set are in no message, and are asked for again", async () => {
  await using account = await openAccount();
  account.failing = "secret bulk";
  const own = "a-token-of-my-own-that-is-long-enough";
  const failed = await account.deploy(["short", own, "sk-ant-typed"]).catch((thrown: unknown) => thrown);
  expect(failed).toMatchObject({ exitCode: 1, message: expect.stringMatching(/^The secrets could not be set\./) });
  expect(String(failed)).not.toMatch(/of-my-own|sk-ant/);
  expect(account.shown).toEqual(["That is shorter than 32 characters."]);
  account.failing = "";
  expect(await account.deploy([own, ""])).toMatchObject({ left: ["npx wrangler secret put ANTHROPIC_API_KEY"] });
  expect(account.secrets).toEqual(["GATEWAY_TOKEN"]);
  // What somebody typed is not shown.
  expect(account.shown).toHaveLength(1);
});

test("[DEPLOY4] where nobody can be asked, it says which commands set the secrets", async () => {
  await using account = await openAccount();
  const { left } = await account.deploy(null);
  expect(left).toEqual(["npx wrangler secret put GATEWAY_TOKEN", "npx wrangler secret put ANTHROPIC_API_KEY"]);
  expect(account.calls).not.toContain("secret bulk");
});

test("[DEPLOY3] a gateway that does not become healthy is told with what failed", async () => {
  await using account = await openAccount();
  account.hasDatabase = true;
  // Its tables go after the migration, as if another database were bound.
  const { wrangler } = account;
  account.wrangler = async (args, stdin) => {
    const answer = await wrangler(args, stdin);
    account.migrated = false;
    return answer;
  };
  const message = expect.stringMatching(/not healthy yet: http.*\/api\/v1\/health says that d1 failed/);
  await expect(account.deploy(null)).rejects.toMatchObject({ exitCode: 1, message });
});

test("[DEPLOY5] what wrangler reports as a target is taken as an address where it is one", () => {
  expect(addressOf("https://turnpike.example.workers.dev")).toBe("https://turnpike.example.workers.dev");
  expect(addressOf("gateway.example.com (custom domain)")).toBe("https://gateway.example.com");
  expect(addressOf("gateway.example.com (custom domain - zone name: example.com)")).toBe("https://gateway.example.com");
  expect(addressOf("example.com/api/* (zone name: example.com)")).toBeNull();
  expect(addressOf("schedule: * * * * *")).toBeNull();
});
