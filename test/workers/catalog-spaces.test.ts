import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { joinSpace, leaveSpace, startSpace } from "../../src/catalog/spaces.ts";

const ids = () => ({ space_id: `space_${ulid()}`, session_id: `session_${ulid()}` });

test("[SESSION8] a session that joins another's space keeps it alive until the last one leaves", async () => {
  const first = ids();
  const joining = ids().session_id;
  expect(await startSpace(env.CATALOG, first)).toBe(first.space_id);
  expect(await joinSpace(env.CATALOG, { source: first.session_id, session_id: joining })).toBe(first.space_id);
  expect(await leaveSpace(env.CATALOG, first)).toBe(false);
  expect(await leaveSpace(env.CATALOG, first)).toBe(false);
  expect(await leaveSpace(env.CATALOG, { ...first, session_id: joining })).toBe(true);
  expect(await leaveSpace(env.CATALOG, first)).toBe(true);
});

test("[SESSION8] nobody joins a session that has left its space or never had one", async () => {
  const source = ids();
  const { session_id } = ids();
  expect(await joinSpace(env.CATALOG, { source: source.session_id, session_id })).toBeNull();
  await startSpace(env.CATALOG, source);
  await leaveSpace(env.CATALOG, source);
  expect(await joinSpace(env.CATALOG, { source: source.session_id, session_id })).toBeNull();
});

test("[IDEM8] starting and joining again answer with the space that the session is in", async () => {
  const first = ids();
  await startSpace(env.CATALOG, first);
  expect(await startSpace(env.CATALOG, { ...ids(), session_id: first.session_id })).toBe(first.space_id);
  const joining = ids().session_id;
  await joinSpace(env.CATALOG, { source: first.session_id, session_id: joining });
  await leaveSpace(env.CATALOG, first);
  expect(await joinSpace(env.CATALOG, { source: first.session_id, session_id: joining })).toBe(first.space_id);
});
