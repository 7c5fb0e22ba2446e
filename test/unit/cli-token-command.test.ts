import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { CallWrangler } from "../../src/cli/call-wrangler.ts";
import { keepDeployedAddress } from "../../src/cli/deployed-address.ts";
import { runTokenCommand } from "../../src/cli/token-command.ts";
import { serveHttp } from "../support/serve-http.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const ID = "token_01ARZ3NDEKTSV4RRFFQ69G5FAV";
const ROW = { token_id: ID, digest: "0".repeat(64), name: "n", user_id: "u", scopes: '["read"]' };
const STORED = { ...ROW, created_at: 1, expires_at: null, revoked_at: 2 };
const CHECKED = { status: "healthy", version: "1", model: "demo", checks: { d1: "ok", r2: "ok" } };

/** A clone without a gateway, and a deployed database that holds one token. */
class Clone {
  readonly folder = new TemporaryFolder();
  env: Record<string, string> = {};
  readonly said: string[] = [];
  /** How often the deployed database was asked. */
  asked = 0;

  wrangler: CallWrangler = async () => {
    this.asked++;
    const rows = [[], [], [STORED]].map((results) => ({ results, success: true }));
    return { ok: true, stdout: JSON.stringify(rows), said: "", reported: [] };
  };

  type(line: string): Promise<number> {
    return runTokenCommand(line.split(" "), {
      root: this.folder.path,
      sources: { env: this.env, devVars: null },
      wrangler: this.wrangler,
      pause: async () => undefined,
      print: (text) => this.said.push(text),
      tell: (text) => this.said.push(text),
    });
  }
}

let clone: Clone;
beforeEach(() => {
  const made = new Clone();
  clone = made;
  onTestFinished(() => made.folder[Symbol.dispose]());
});

/** A gateway that only says how it is, and how often it was asked. */
async function serveGateway() {
  const asked: (string | undefined)[] = [];
  const served = await serveHttp((request, response) => {
    asked.push(request.url);
    response.end(JSON.stringify(CHECKED));
  });
  return Object.assign(served, { asked });
}

const TOLD_TWICE = ["/api/v1/health", "/api/v1/health"];

test.each([
  ["create --name n --user u --gateway-url http://a", "create takes no --gateway-url"],
  ["list --name n", "list takes no --name"],
  ["list --user u --remote", "list takes no --user"],
  ["list --quiet", "list takes no --quiet"],
  ["list --gateway-url http://a --remote", "list takes no --gateway-url"],
  [`revoke ${ID} --scopes read`, "revoke takes no --scopes"],
  [`revoke ${ID} --expires 1d`, "revoke takes no --expires"],
  [`revoke ${ID} --json`, "revoke takes no --json"],
  [`revoke ${ID} --gateway-url http://a`, "--gateway-url is where the deployed gateway is"],
  [`revoke ${ID} --remote --state s`, "--state is where a local gateway"],
  [`revoke ${ID} --remote --gateway-url a`, "The gateway's address must begin with http"],
  ["create list", "Too many arguments."],
  ["constructor", "One of create, list and revoke is needed"],
])("[DEPLOY11] %s is refused, and nothing is done", async (line, why) => {
  await expect(clone.type(line)).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(why) });
  expect(clone.asked).toBe(0);
});

test.each(["create --name n --user u", "list", `revoke ${ID}`])(
  "[DEPLOY11] %s makes no state where no gateway ever ran",
  async (line) => {
    const state = join(clone.folder.path, "mistyped");
    const message = expect.stringMatching(/^No gateway ever ran .*mistyped.*`npm start` first/);
    await expect(clone.type(`${line} --state ${state}`)).rejects.toMatchObject({ exitCode: 2, message });
    expect(existsSync(state)).toBe(false);
  },
);

describe("revoke --remote", () => {
  test("[DEPLOY10] without an address it revokes, and does not end as if it were done", async () => {
    const message = expect.stringMatching(/^The token is revoked, but .*revoke token_\w+ --remote --gateway-url /);
    await expect(clone.type(`revoke ${ID} --remote --quiet`)).rejects.toMatchObject({ exitCode: 1, message });
    expect({ asked: clone.asked, said: clone.said }).toEqual({ asked: 1, said: [] });
  });

  test("[DEPLOY7] [DEPLOY10] tells the gateway that the flag names, before any other", async () => {
    await using gateway = await serveGateway();
    clone.env = { TURNPIKE_GATEWAY_URL: "https://nobody.invalid" };
    keepDeployedAddress(clone.folder.path, "https://nobody.invalid");
    expect(await clone.type(`revoke ${ID} --remote --gateway-url ${gateway.baseUrl}`)).toBe(0);
    expect(gateway.asked).toEqual(TOLD_TWICE);
    expect(clone.said[0]).toBe(`revoked ${ID}`);
  });

  test("[DEPLOY10] tells the gateway that was deployed from here, and not the one of this machine", async () => {
    await using gateway = await serveGateway();
    keepDeployedAddress(clone.folder.path, gateway.baseUrl);
    clone.env = { TURNPIKE_GATEWAY_URL: "http://127.0.0.1:1" };
    expect(await clone.type(`revoke ${ID} --remote`)).toBe(0);
    expect(gateway.asked).toEqual(TOLD_TWICE);
  });

  test("[DEPLOY10] tells the gateway that the variable names before the one that was deployed", async () => {
    await using gateway = await serveGateway();
    keepDeployedAddress(clone.folder.path, gateway.baseUrl);
    // A port that fetch refuses before it looks for the host.
    clone.env = { TURNPIKE_GATEWAY_URL: "http://nobody.invalid:1" };
    const message = expect.stringMatching(/http:\/\/nobody\.invalid.* cannot be reached/);
    await expect(clone.type(`revoke ${ID} --remote`)).rejects.toMatchObject({ exitCode: 3, message });
    expect(gateway.asked).toEqual([]);
  });

  test("[DEPLOY7] an id that the database does not know is told", async () => {
    clone.wrangler = async () => {
      const rows = [[], [], []].map((results) => ({ results, success: true }));
      return { ok: true, stdout: JSON.stringify(rows), said: "", reported: [] };
    };
    await expect(clone.type(`revoke ${ID} --remote`)).rejects.toMatchObject({ exitCode: 3 });
  });
});
