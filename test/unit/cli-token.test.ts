import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { digestOf } from "../../src/catalog/token-text.ts";
import type { CallWrangler } from "../../src/cli/call-wrangler.ts";
import { openRemoteTokens } from "../../src/cli/open-token-store.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { tellGateway } from "../../src/cli/tell-gateway.ts";
import { tokensOfGateway } from "../../src/cli/token-store.ts";
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
  // By every clock: that of this machine may be ahead of the gateway's.
  expect(due).toMatchObject([{ due_at: 0 }]);
  expect(await tokens.revoke(`token_${"0".repeat(26)}`)).toBe(false);

  expect(new Set(deployed.calls.map((args) => args.slice(0, -1).join(" ")))).toEqual(
    new Set(["d1 execute CATALOG --remote --json --command"]),
  );
  expect(`${deployed.calls}`).not.toContain(token.slice(-43));
});

test.each([
  [false, ""],
  [true, "You are not logged in."],
  [true, '[{"results": {}}]'],
])("[DEPLOY7] what wrangler says is told where it fails or answers no rows (%j, %j)", async (ok, stdout) => {
  const wrangler: CallWrangler = async () => ({ ok, stdout, said: "You are not logged in.", reported: [] });
  const message = expect.stringContaining("You are not logged in.");
  await expect(openRemoteTokens(wrangler).list()).rejects.toMatchObject({ exitCode: 1, message });
});

const CHECKED = { status: "healthy", version: "1", model: "demo", checks: { d1: "ok", r2: "ok" } };

/** A server that answers everything with `status` and `body`, and what it was asked. */
async function serveAnswer(status: number, body: string) {
  const asked: string[] = [];
  const served = await serveHttp((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status).end(body);
  });
  return Object.assign(served, { asked });
}

test.each([
  [200, CHECKED],
  [503, { ...CHECKED, status: "unhealthy", checks: { d1: "ok", r2: "failed" } }],
])(
  "[DEPLOY7] the gateway is asked twice, so that it looks once for what was revoked (HTTP %d)",
  async (status, body) => {
    await using served = await serveAnswer(status, JSON.stringify(body));
    await tellGateway(served.baseUrl, async (ms) => served.asked.push(`${ms / 1_000} s`));
    expect(served.asked).toEqual(["GET /api/v1/health", "31 s", "GET /api/v1/health"]);
  },
);

test.each([
  [200, "<h1>It works!</h1>", "is no gateway: it answers HTTP 200"],
  [404, '{"code":"not_found"}', "is no gateway: it answers HTTP 404"],
  [403, JSON.stringify(CHECKED), "is no gateway: it answers HTTP 403"],
  [503, JSON.stringify({ ...CHECKED, checks: { d1: "failed", r2: "ok" } }), "cannot ask its database"],
])("[DEPLOY10] nobody is told where the answer is HTTP %d %s", async (status, body, why) => {
  await using served = await serveAnswer(status, body);
  const message = expect.stringMatching(RegExp(`^The token is revoked, but .* ${why}`));
  const told = tellGateway(served.baseUrl, async () => undefined);
  await expect(told).rejects.toMatchObject({ exitCode: 3, message });
});

test("[DEPLOY10] nobody is told where nothing answers", async () => {
  const message = expect.stringMatching(/^The token is revoked, but .* cannot be reached/);
  const told = tellGateway("http://127.0.0.1:1", async () => undefined);
  await expect(told).rejects.toMatchObject({ exitCode: 3, message });
});

test("[DEPLOY6] a gateway that runs and knows no tokens yet is told from a token that it does not know", async () => {
  await using older = await serveAnswer(404, '{"code":"not_found","detail":"There is nothing here."}');
  const tokens = tokensOfGateway(older.baseUrl.replace(/\/$/, ""), "admin");
  const failure = { exitCode: 3, message: expect.stringContaining("knows no tokens: it is older") };
  await expect(tokens.create({ name: "n", user_id: "u", scopes: ["read"] })).rejects.toMatchObject(failure);
  await expect(tokens.list()).rejects.toMatchObject(failure);
  await expect(tokens.revoke("token_1")).rejects.toMatchObject(failure);

  await using other = await serveAnswer(200, "[]");
  const strange = tokensOfGateway(other.baseUrl.replace(/\/$/, ""), "admin");
  const message = expect.stringContaining("answers what is no list of tokens");
  await expect(strange.list()).rejects.toMatchObject({ exitCode: 3, message });
});
