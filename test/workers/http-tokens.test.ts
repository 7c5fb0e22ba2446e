import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test, vi } from "vitest";
import { newToken as createText } from "../../src/catalog/token-text.ts";
import { storeToken } from "../../src/catalog/tokens.ts";
import { TOKEN_CACHE_MS } from "../../src/protocol/limits.ts";
import { hexSha256 } from "../../src/protocol/sha256.ts";
import { type TokenInfo, tokenPage } from "../../src/protocol/tokens.ts";
import { newLinked, openLink } from "./http-link-scene.ts";
import { ADMIN_TOKEN, ask, codeOf, newSession, read } from "./http-scene.ts";
import { useClock } from "./platform.ts";
import { aroundStorage, failure } from "./storage-faults.ts";
import { asAdmin, newToken, revoke, revokeInDatabase } from "./token-scene.ts";

const HOUR_MS = 3_600_000;
const inAnHour = () => new Date(Date.now() + HOUR_MS).toISOString();

const statusOf = async (token: string) => (await read(await ask("GET", "sessions", { token }))).status;

/** All tokens, from pages of this size. */
async function listed(limit: number): Promise<TokenInfo[]> {
  const tokens: TokenInfo[] = [];
  let cursor = "";
  do {
    const page = tokenPage.parse(await (await ask("GET", `tokens?limit=${limit}${cursor}`, asAdmin)).json());
    expect(page.tokens.length).toBeLessThanOrEqual(limit);
    tokens.push(...page.tokens);
    cursor = page.next_cursor === null ? "" : `&cursor=${page.next_cursor}`;
  } while (cursor !== "");
  return tokens;
}

test("[TOKEN1] [TOKEN2] a token is shown once, and D1 holds nothing that it could be made from", async () => {
  const created = await newToken();
  const { token, token_id, ...rest } = created;
  expect(token).toMatch(new RegExp(`^turnpike_${token_id.slice("token_".length)}_[A-Za-z0-9_-]{43}$`));
  expect(rest).toMatchObject({
    name: "a test's",
    scopes: ["read", "write", "approve"],
    expires_at: null,
    revoked_at: null,
  });
  const { token: other } = await newToken();
  const secret = token.slice(-43);
  expect(other.slice(-43)).not.toBe(secret);
  expect(await statusOf(token)).toBe(200);
  const { results } = await env.CATALOG.prepare("SELECT * FROM tokens WHERE token_id = ?").bind(token_id).all();
  expect(results[0]?.["digest"]).toBe(await hexSha256(new TextEncoder().encode(token)));
  expect(JSON.stringify(results)).not.toContain(secret);
  expect(JSON.stringify(await listed(200))).not.toContain(secret);
});

test("[TOKEN1] [AUTH6] tokens are for admins, whatever else a token may do", async () => {
  const { token, token_id } = await newToken();
  for (const json of [{ name: "x", user_id: "x", scopes: ["read"] }, { nonsense: true }]) {
    expect(await codeOf(await ask("POST", "tokens", { token, json }))).toBe("forbidden");
  }
  expect(await codeOf(await ask("GET", "tokens", { token }))).toBe("forbidden");
  for (const id of [token_id, "token_x"]) {
    expect(await codeOf(await ask("DELETE", `tokens/${id}`, { token }))).toBe("forbidden");
  }
  const admin = await newToken({ scopes: ["admin"] });
  expect((await read(await ask("GET", "tokens", admin))).status).toBe(200);
});

test("[TOKEN3] a token ends in the future, at a time with any offset", async () => {
  const { expires_at } = await newToken({ expires_at: "2999-12-31T23:59:59.1234+02:00" });
  expect(expires_at).toBe("2999-12-31T21:59:59.123Z");
  const body = { name: "x", user_id: "x", scopes: ["read"] };
  const wrong = [
    { expires_at: new Date().toISOString() },
    { expires_at: "2020-01-01T00:00:00Z" },
    { expires_at: "tomorrow" },
    { expires_at: "2999-12-31T23:59:59" },
    { scopes: [] },
    { scopes: ["read", "read"] },
    { scopes: ["all"] },
    { name: "a\nb" },
    { name: "" },
    { user_id: "" },
    { token: "mine" },
  ];
  for (const one of wrong) {
    const refused = await ask("POST", "tokens", { ...asAdmin, json: { ...body, ...one } });
    expect([one, await codeOf(refused)]).toEqual([one, "invalid_request"]);
  }
});

test("[TOKEN4] tokens are listed in pages, the newest first, those included that were revoked", async () => {
  const { token: _, ...first } = await newToken({ name: "first", expires_at: inAnHour() });
  const second = await newToken({ name: "second" });
  expect(await revoke(second.token_id)).toBe(204);
  const all = await listed(200);
  expect(await listed(3)).toEqual(all);
  const ids = all.map(({ token_id }) => token_id);
  expect(ids).toEqual([...ids].sort().reverse());
  expect(all.find(({ token_id }) => token_id === first.token_id)).toEqual(first);
  expect(all.find(({ token_id }) => token_id === second.token_id)?.revoked_at).toEqual(expect.any(String));
  expect(await codeOf(await ask("GET", "tokens?cursor=x", asAdmin))).toBe("bad_cursor");
});

test("[TOKEN5] [AUTH6] a token opens its user's sessions, as far as its scopes go", async () => {
  const { token, user_id } = await newToken();
  const { session_id } = await newSession({ token });
  const reader = await newToken({ user_id, scopes: ["read"] });
  const shown = await ask("GET", `sessions/${session_id}`, reader);
  expect(await shown.json()).toMatchObject({ user_id });
  expect(await codeOf(await ask("DELETE", `sessions/${session_id}`, reader))).toBe("forbidden");
  const writer = await newToken({ user_id, scopes: ["write"] });
  expect(await codeOf(await ask("GET", `sessions/${session_id}`, writer))).toBe("forbidden");
  expect(await codeOf(await ask("GET", `sessions/${session_id}`, await newToken()))).toBe("not_found");
  const admin = await newToken({ scopes: ["read", "admin"] });
  expect((await read(await ask("GET", `sessions/${session_id}`, admin))).status).toBe(200);
});

test("[TOKEN5] a new token works at once, also where it was asked for before it was stored", async () => {
  const { token, ...text } = await createText();
  expect(await statusOf(token)).toBe(401);
  const rest = { name: "late", user_id: ulid(), scopes: ["read" as const], created_at: Date.now(), expires_at: null };
  await storeToken(env.CATALOG, { ...text, ...rest });
  expect(await statusOf(token)).toBe(200);
});

test("[TOKEN6] whatever is wrong with a token, the answer is the same", async () => {
  const clock = useClock();
  const { token } = await newToken();
  const altered = `${token.slice(0, -2)}${token.at(-2) === "A" ? "B" : "A"}${token.at(-1)}`;
  const sameBits = token.slice(0, -1) + String.fromCharCode((token.codePointAt(token.length - 1) ?? 0) + 1);
  const revoked = await newToken();
  expect(await statusOf(revoked.token)).toBe(200);
  await revoke(revoked.token_id);
  const expired = await newToken({ expires_at: inAnHour() });
  expect(await statusOf(expired.token)).toBe(200);
  clock.putForward(HOUR_MS);
  const wrong = [
    "turnpike_",
    altered,
    sameBits,
    `${token}A`,
    token.toLowerCase(),
    token.slice("turnpike_".length),
    (await createText()).token,
    revoked.token,
    expired.token,
  ];
  const answers = await Promise.all(wrong.map(async (sent) => read(await ask("GET", "sessions", { token: sent }))));
  expect(answers[0]).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await statusOf(token)).toBe(200);
});

test("[TOKEN7] a token that was revoked elsewhere is believed for 30 s at most, and then never again", async () => {
  const clock = useClock();
  const { token, token_id } = await newToken();
  expect(await statusOf(token)).toBe(200);
  await revokeInDatabase(token_id);
  clock.putForward(TOKEN_CACHE_MS);
  expect(await statusOf(token)).toBe(401);
});

test("[TOKEN7] a token is refused at once where it was revoked, also by what was asked of D1 before", async () => {
  const { token, token_id } = await newToken();
  const asked = Promise.withResolvers<void>();
  const revoked = Promise.withResolvers<void>();
  aroundStorage(async ({ name, bound, go }) => {
    const answer = await go();
    if (name === "D1 all" && bound.includes(token_id)) {
      asked.resolve();
      await revoked.promise;
    }
    return answer;
  });
  const early = statusOf(token);
  await asked.promise;
  // The sessions of the token are looked for by `all` too.
  const revoking = revoke(token_id);
  revoked.resolve();
  expect(await revoking).toBe(204);
  await early;
  expect(await statusOf(token)).toBe(401);
});

test("[TOKEN8] while D1 is away GATEWAY_TOKEN goes on, and so do tokens that were seen just now", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const [seen, unseen] = await Promise.all([newToken(), newToken()]);
  const { session_id } = await newSession(seen);
  aroundStorage(({ name, go }) => (name.startsWith("D1") ? failure() : go()));
  const path = `sessions/${session_id}`;
  expect(await codeOf(await ask("GET", path, unseen))).toBe("unavailable");
  expect((await read(await ask("GET", path, seen))).status).toBe(200);
  expect((await read(await ask("GET", path, asAdmin))).status).toBe(200);
  expect(await codeOf(await ask("GET", path, { token: `${ADMIN_TOKEN}x` }))).toBe("unauthenticated");
  vi.restoreAllMocks();
});

test("[AUTH2] a gateway without GATEWAY_TOKEN takes the tokens that were created", async () => {
  const { token } = await newToken();
  expect((await read(await ask("GET", "sessions", { token, env: { GATEWAY_TOKEN: "" } }))).status).toBe(200);
});

test("[TOKEN9] only users that are listed may use the gateway, but for admins", async () => {
  const [listedOne, other] = [await newToken(), await newToken()];
  const { session_id } = await newSession(other);
  const bindings = { env: { GATEWAY_ALLOWED_USERS: `someone else, ${listedOne.user_id}` } };
  expect((await read(await ask("GET", "sessions", { ...listedOne, ...bindings }))).status).toBe(200);
  const refused = [
    ask("GET", "sessions", { ...other, ...bindings }),
    ask("GET", `sessions/${session_id}`, { ...other, ...bindings }),
    ask("GET", "no-such-route", { ...other, ...bindings }),
    ask("POST", "sessions", { ...asAdmin, ...bindings, json: { user_id: other.user_id } }),
    ask("POST", "tokens", { ...asAdmin, ...bindings, json: { name: "x", user_id: other.user_id, scopes: ["read"] } }),
  ];
  for (const response of await Promise.all(refused)) expect(await codeOf(response)).toBe("forbidden");
  expect((await read(await ask("GET", `sessions/${session_id}`, { ...asAdmin, ...bindings }))).status).toBe(200);
  const own = await newSession({ ...asAdmin, ...bindings, json: {} });
  expect(own.user_id).toBe("admin");
  await newSession({ ...asAdmin, ...bindings, json: { user_id: listedOne.user_id } });
});

test("[TOKEN9] the links of a user who is not listed do not work", async () => {
  const { url } = await newLinked();
  expect((await read(await openLink(url, { env: { GATEWAY_ALLOWED_USERS: "someone" } }))).status).toBe(404);
  expect((await read(await openLink(url, { env: { GATEWAY_ALLOWED_USERS: "someone,ann" } }))).status).toBe(200);
});
