import { env } from "cloudflare:workers";
import { expect, onTestFinished, test } from "vitest";
import { linkKey } from "../../src/http/link-token.ts";
import { sign } from "../../src/http/signed.ts";
import { ASKING, decideBy, openLink, wholeOf } from "./http-link-scene.ts";
import { ORIGIN, read, revokedTokens } from "./http-scene.ts";
import { inputOf, newLink, newWaiting } from "./http-waiting-scene.ts";
import { useClock } from "./platform.ts";

const NEVER = 8_640_000_000_000_000;

test("[LINK11] a link of a token that was revoked is no link, whoever knows of it first", async () => {
  const { session_id, path, inputId } = await newWaiting(ASKING, "Write 'a' to a.txt");
  const token = "ann-approve";
  const { url } = await newLink(path, inputId, { token });
  const before = await wholeOf(path);
  const isNone = async (link: string) => {
    const pages = [await read(await openLink(link)), await read(await decideBy(link, "allow"))];
    expect(pages.map(({ status }) => status)).toEqual([404, 404]);
    expect(pages[0]?.body).toContain("This link does not work");
  };
  revokedTokens.add(`the id of ${token}`);
  onTestFinished(() => {
    revokedTokens.delete(`the id of ${token}`);
  });
  await isNone(url);
  // The session was told, and a cache beside it knows nothing yet.
  const told = `${token}-${NEVER}`;
  const other = await newLink(path, inputId, { token: told });
  expect((await read(await openLink(other.url))).status).toBe(200);
  await env.SESSIONS.getByName(session_id).revokeToken(`the id of ${told}`);
  await isNone(other.url);
  expect(await wholeOf(path)).toEqual(before);
});

test("[LINK11] a link ends with the token that made it", async () => {
  const { path, inputId } = await newWaiting(ASKING, "Write 'a' to a.txt");
  const soon = Date.now() + 20_000;
  const { url, expires_at } = await newLink(path, inputId, { token: `ann-approve-${soon}` });
  expect(Date.parse(expires_at)).toBe(soon);
  expect((await read(await openLink(url))).status).toBe(200);
  useClock().putForward(20_000);
  expect((await read(await decideBy(url, "allow"))).status).toBe(410);
});

test("[LINK12] a link that an older version made, which names no token, works until it expires", async () => {
  const { session_id, path, inputId } = await newWaiting(ASKING, "Write 'a' to a.txt");
  const link = await sign(await linkKey(env), ["ann", false, session_id, inputId, Date.now() + 60_000]);
  const url = `${ORIGIN}/answer/${link}`;
  expect((await read(await openLink(url))).status).toBe(200);
  expect((await read(await decideBy(url, "deny"))).status).toBe(200);
  expect(await inputOf(path, inputId)).toMatchObject({ status: "settled", response: "deny" });
});
