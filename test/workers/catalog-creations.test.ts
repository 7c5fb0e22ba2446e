import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { claimCreation, releaseCreation } from "../../src/catalog/creations.ts";
import { removeFromIndex } from "../../src/catalog/sessions-index.ts";
import { IDEMPOTENCY_TTL_MS } from "../../src/protocol/limits.ts";

const aCreation = (given: { user_id?: string; key?: string; body_hash?: string } = {}) => ({
  user_id: "ann",
  key: ulid(),
  body_hash: "hash",
  session_id: `session_${ulid()}`,
  ...given,
});
const claim = (creation: ReturnType<typeof aCreation>, now = 1_000) => claimCreation(env.CATALOG, creation, now);

test("[IDEM1] for 24 hours a repeat gets the session that the first claim named; after that the key is free", async () => {
  const first = aCreation();
  const repeat = aCreation({ key: first.key, body_hash: "other" });
  const stored = { session_id: first.session_id, body_hash: "hash", deleted: false };
  expect(await claim(first)).toEqual(stored);
  expect(await claim(repeat, 1_000 + IDEMPOTENCY_TTL_MS - 1)).toEqual(stored);
  expect(await claim(repeat, 1_000 + IDEMPOTENCY_TTL_MS)).toMatchObject({ session_id: repeat.session_id });
});

test("[IDEM5] a key belongs to its user", async () => {
  const anns = aCreation();
  const bobs = aCreation({ user_id: "bob", key: anns.key });
  await claim(anns);
  expect(await claim(bobs)).toMatchObject({ session_id: bobs.session_id });
});

test("[IDEM7] claims that race each other name one session", async () => {
  const { key } = aCreation();
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim(aCreation({ key }))));
  expect(new Set(claims.map(({ session_id }) => session_id)).size).toBe(1);
});

test("[IDEM4] a released key is free, and only the claim that holds it releases it", async () => {
  const first = aCreation();
  const second = aCreation({ key: first.key });
  await claim(first);
  await releaseCreation(env.CATALOG, second);
  expect(await claim(second)).toMatchObject({ session_id: first.session_id });
  await releaseCreation(env.CATALOG, first);
  expect(await claim(second)).toMatchObject({ session_id: second.session_id });
});

test("[SESSION13] a claim says that its session was deleted", async () => {
  const creation = aCreation();
  await claim(creation);
  await removeFromIndex(env.CATALOG, creation.session_id);
  expect(await claim(creation)).toMatchObject({ deleted: true });
});
