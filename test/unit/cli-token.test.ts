import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { digestOf } from "../../src/catalog/token-text.ts";
import type { CallWrangler } from "../../src/cli/call-wrangler.ts";
import { openRemoteTokens } from "../../src/cli/open-token-store.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { tellGateway } from "../../src/cli/tell-gateway.ts";
import { serveHttp } from "../support/serve-http.ts";

const MIGRATIONS = join(PROJECT_ROOT, "migrations");

/** The deployed database, and what wrangler was called with. */
function deployedDatabase() {
  const database = new DatabaseSync(":memory:");
  for (const name of readdirSync(MIGRATIONS).sort()) database.exec(readFileSync(join(MIGRATIONS, name), "utf8"));
  const calls: string[][] = [];
  const wrangler: CallWrangler = async (args) => {
    calls.push(args);
    const statements = (args.at(-1) ?? "").split(";\n");
    const rows = statements.map((sql) => ({ results: database.prepare(sql).all(), success: true, meta: {} }));
    return { ok: true, stdout: JSON.stringify(rows), said: "", reported: [] };
  };
  return { database, calls, wrangler, [Symbol.dispose]: () => database.close() };
}

test("[DEPLOY7] [DEPLOY8] by the deployed database, tokens are made, listed and revoked, and only a digest leaves", async () => {
  using deployed = deployedDatabase();
  const tokens = openRemoteTokens(deployed.wrangler);
  const name = `O'Brien'); DROP TABLE tokens;-- ?1 \\' "`;
  const expires_at = "2100-01-31T12:00:00.000Z";
  const { token, ...made } = await tokens.create({ name, user_id: "o'b", scopes: ["read", "write"], expires_at });
  expect(made).toMatchObject({ name, user_id: "o'b", scopes: ["read", "write"], expires_at, revoked_at: null });
  expect(await tokens.list()).toEqual([made]);
  const [stored] = deployed.database.prepare("SELECT * FROM tokens").all();
  expect(stored).toMatchObject({ token_id: made.token_id, digest: await digestOf(token), name });

  deployed.database.exec(`INSERT INTO token_sessions VALUES ('${made.token_id}', 'session_1', NULL)`);
  expect(await tokens.revoke(made.token_id)).toBe(true);
  expect(await tokens.list()).toMatchObject([{ revoked_at: expect.any(String) }]);
  // Whoever the gateway is to tell of it is due.
  const due = deployed.database.prepare("SELECT due_at FROM token_sessions").all();
  expect(due).toMatchObject([{ due_at: expect.any(Number) }]);
  expect(await tokens.revoke(made.token_id.replace(/.$/, "Z"))).toBe(false);

  expect(new Set(deployed.calls.map((args) => args.slice(0, -1).join(" ")))).toEqual(
    new Set(["d1 execute CATALOG --remote --json --command"]),
  );
  expect(`${deployed.calls}`).not.toContain(token.slice(-43));
});

test("[DEPLOY7] what wrangler says where it fails is told", async () => {
  const wrangler: CallWrangler = async () => ({ ok: false, stdout: "", said: "You are not logged in.", reported: [] });
  const message = expect.stringContaining("You are not logged in.");
  await expect(openRemoteTokens(wrangler).list()).rejects.toMatchObject({ exitCode: 1, message });
});

test("[DEPLOY7] the gateway is asked twice, so that it looks once for what was revoked", async () => {
  const asked: string[] = [];
  await using served = await serveHttp((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end("{}");
  });
  await tellGateway(served.baseUrl, async (ms) => asked.push(`${ms / 1_000} s`));
  expect(asked).toEqual(["GET /api/v1/health", "31 s", "GET /api/v1/health"]);
  const failed = tellGateway("http://127.0.0.1:1", async () => undefined);
  await expect(failed).rejects.toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(/^The token is revoked, but/),
  });
});
