import { env } from "cloudflare:workers";
import fc from "fast-check";
import { ulid } from "ulid";
import { expect, test, vi } from "vitest";
import { linkKey, signLink, verifyLink } from "../../src/http/link-token.ts";
import { INPUT_LINK_MAX_CHARS, USER_ID_MAX_CHARS } from "../../src/protocol/limits.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import { ASKING, decideBy, newLinked, openLink, postLink, wholeOf } from "./http-link-scene.ts";
import { ADMIN_TOKEN, ask, codeOf, newSession, ORIGIN, read } from "./http-scene.ts";
import { answerInput, eventsOf, inputOf, newLink, newWaiting, waitOn } from "./http-waiting-scene.ts";
import { useClock } from "./platform.ts";

const HOUR_MS = 3_600_000;

test("[LINK1] a link is made of an address of this gateway and an expiry: the input's own, or an earlier one", async () => {
  const { path, inputId, url, expires_at } = await newLinked();
  expect(url).toMatch(new RegExp(`^${ORIGIN}/answer/[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]{43}$`));
  expect(expires_at).toBe((await inputOf(path, inputId)).expires_at);
  const sooner = await newLink(path, inputId, { json: { expires_in_seconds: 60 } });
  expect(Date.parse(sooner.expires_at)).toBeLessThanOrEqual(Date.now() + 60_000);
  const later = await newLink(path, inputId, { json: { expires_in_seconds: 30 * 24 * 3_600 } });
  expect(later.expires_at).toBe(expires_at);
  const badly = [{ expires_in_seconds: 0 }, { expires_in_seconds: 1.5 }, { expires_in_seconds: "60" }, { until: 1 }];
  for (const json of badly) {
    expect(await codeOf(await ask("POST", `${path}/inputs/${inputId}/link`, { json }))).toBe("invalid_request");
  }
  await (await answerInput(path, inputId, "deny")).text();
  expect(await codeOf(await ask("POST", `${path}/inputs/${inputId}/link`))).toBe("already_answered");
});

test("[LINK1] [LINK7] only who may approve makes one, and only for a session that is theirs", async () => {
  const { path, inputId } = await newWaiting(ASKING, "Write 'a' to a.txt");
  const mint = async (token: string, id = inputId) =>
    codeOf(await ask("POST", `${path}/inputs/${id}/link`, { token, json: {} }));
  expect(await mint("ann-read")).toBe("forbidden");
  expect(await mint("ann-write")).toBe("forbidden");
  expect(await mint("bob")).toBe("not_found");
  expect(await mint("ann", "x")).toBe("not_found");
  expect(await mint("ann", `input_${ulid()}`)).toBe("not_found");
  const { url } = await newLink(path, inputId, { token: ADMIN_TOKEN });
  expect((await decideBy(url, "allow")).status).toBe(200);
  const answered = (await eventsOf(path)).find(({ data }) => "status" in data && data.status === "answered");
  expect(answered?.data).toMatchObject({ response: "allow", user_id: "admin", via: "link" });
});

test("[LINK4] a link that is opened by GET or HEAD any number of times changes nothing", async () => {
  const { path, session_id, inputId, url, expires_at } = await newLinked({ ...ASKING, title: "Ann's plan" });
  const before = await wholeOf(path);
  for (let i = 0; i < 20; i++) {
    const page = await read(await openLink(url, { headers: { "user-agent": "TelegramBot (like TwitterBot)" } }));
    expect(page.status).toBe(200);
    const day = expires_at.slice(0, 16).replace("T", " ");
    for (const shown of ["Ann&#39;s plan", session_id, "ann", "write", "a.txt", "secret plan", `${day} UTC`]) {
      expect(page.body).toContain(shown);
    }
    expect(page.body).toMatch(/<form method="post"[^>]*>\s*<button name="response" value="allow">/);
    expect(page.body).toContain("the call is not allowed");
    expect(page.body).not.toContain("<script");
    expect(await read(await openLink(url, { method: "HEAD" }))).toMatchObject({ status: 200, body: "" });
    // What some chats add to the addresses that they show.
    expect((await openLink(`${url}?fbclid=x`)).status).toBe(200);
  }
  expect(await wholeOf(path)).toEqual(before);
  expect((await inputOf(path, inputId)).status).toBe("pending");
});

test("[LINK5] [LINK6] the form answers as who made the link, once; after that the page says what it came to", async () => {
  const { session_id, path, inputId, url } = await newLinked();
  const done = await read(await decideBy(url, "allow"));
  expect(done).toMatchObject({ status: 200, body: expect.stringContaining("The call was allowed.") });
  expect(done.body).not.toContain("<form");
  await waitOn(session_id, "Say 'after'");
  expect(await (await ask("GET", `${path}/files/a.txt`)).text()).toBe("secret plan");
  expect(await inputOf(path, inputId)).toMatchObject({ status: "settled", response: "allow" });
  const answered = (await eventsOf(path)).filter(({ data }) => "status" in data && data.status === "answered");
  expect(answered.map(({ data }) => data)).toEqual([
    { status: "answered", input_id: inputId, response: "allow", user_id: "ann", via: "link" },
  ]);
  const before = await wholeOf(path);
  expect(await read(await openLink(url))).toMatchObject({ status: 200, body: expect.stringContaining("was allowed") });
  expect((await decideBy(url, "allow")).status).toBe(200);
  const late = await read(await decideBy(url, "deny"));
  expect(late).toMatchObject({ status: 409, body: expect.stringContaining("The call was allowed.") });
  expect(await wholeOf(path)).toEqual(before);
});

test("[LINK6] two links, and a token, settle an input once", async () => {
  const { path, inputId, url } = await newLinked();
  const second = await newLink(path, inputId, { token: ADMIN_TOKEN, json: { expires_in_seconds: 60 } });
  const answers = await Promise.all([
    decideBy(url, "allow"),
    decideBy(second.url, "deny"),
    answerInput(path, inputId, "deny"),
  ]);
  const { response } = await inputOf(path, inputId);
  const wins = response === "allow" ? [200, 409, 409] : [409, 200, 200];
  expect(answers.map(({ status }) => status)).toEqual(wins);
  const answered = (await eventsOf(path)).filter(({ data }) => "status" in data && data.status === "answered");
  expect(answered).toHaveLength(1);
});

test("[LINK6] a link of a turn that was cancelled says so and answers nothing", async () => {
  const { path, url } = await newLinked();
  await (await ask("POST", `${path}/cancel`)).json();
  const before = await wholeOf(path);
  expect(await read(await openLink(url))).toMatchObject({
    status: 200,
    body: expect.stringContaining("Nobody answered"),
  });
  expect((await decideBy(url, "allow")).status).toBe(409);
  expect(await wholeOf(path)).toEqual(before);
});

test("[LINK2] [LINK7] a link that has expired shows nothing and answers nothing", async () => {
  const clock = useClock();
  const { path, inputId } = await newWaiting(ASKING, "Write 'a' to a.txt");
  const { url } = await newLink(path, inputId, { json: { expires_in_seconds: 3_600 } });
  const before = await wholeOf(path);
  clock.putForward(HOUR_MS);
  for (const response of [await openLink(url), await decideBy(url, "allow"), await postLink(url, "nonsense")]) {
    const page = await read(response);
    expect(page.status).toBe(410);
    expect(page.body).toContain("expired");
    expect(page.body).not.toContain("a.txt");
  }
  expect(await wholeOf(path)).toEqual(before);
});

test("[LINK2] [LINK7] a link at or after the input's deadline has expired with it", async () => {
  const clock = useClock();
  const { path, inputId, url } = await newLinked({ ...ASKING, input_timeout_seconds: 60 });
  clock.putForward(60_000);
  expect((await openLink(url)).status).toBe(410);
  expect((await decideBy(url, "allow")).status).toBe(410);
  expect(await codeOf(await ask("POST", `${path}/inputs/${inputId}/link`))).toBe("already_answered");
  expect(await codeOf(await answerInput(path, inputId, "allow"))).toBe("already_answered");
  expect(await inputOf(path, inputId)).toMatchObject({ status: "settled", response: "deny" });
});

test("[LINK7] a link that is altered in any character is no link", async () => {
  const { path, url } = await newLinked();
  const at = `${ORIGIN}/answer/`.length;
  const before = await wholeOf(path);
  const { status, body } = await read(await openLink(`${url}x`));
  expect(status).toBe(404);
  const code = /nonce[-=]"?[0-9a-f-]+/g;
  const isNone = async (altered: string) => {
    const page = await read(await decideBy(altered, "allow"));
    expect([altered, page.status, page.body.replace(code, "")]).toEqual([altered, 404, body.replace(code, "")]);
  };
  const any = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%/";
  // Every place of the link once, each with another character of any.
  for (let i = at; i < url.length; i++) {
    const other = any[(any.indexOf(url[i] ?? "") + 1 + (i % (any.length - 1))) % any.length];
    await isNone(url.slice(0, i) + other + url.slice(i + 1));
  }
  // Every other last character, whose last two bits are those that a decoder passes over.
  for (const last of any.slice(0, 64)) if (!url.endsWith(last)) await isNone(url.slice(0, -1) + last);
  for (const cut of [at, at + 1, url.indexOf(".", at), url.indexOf(".", at) + 1, url.length - 1]) {
    await isNone(url.slice(0, cut));
  }
  await isNone(`${url}=`);
  await isNone(`${url}/`);
  await isNone(`${url.slice(0, at)}%${url.charCodeAt(at).toString(16)}${url.slice(at + 1)}`);
  await isNone(`${url.slice(0, at)}${"A".repeat(INPUT_LINK_MAX_CHARS)}${url.slice(at)}`);
  expect(await wholeOf(path)).toEqual(before);
});

test("[LINK7] parts of two links make none: not for another input, session, user or expiry", async () => {
  const { path, inputIds } = await newWaiting(ASKING, "At once: Write 'a' to a.txt & Write 'b' to b.txt");
  const other = await newLinked();
  const links = [
    await newLink(path, inputIds[0] ?? ""),
    await newLink(path, inputIds[1] ?? ""),
    await newLink(path, inputIds[0] ?? "", { token: ADMIN_TOKEN }),
    await newLink(path, inputIds[0] ?? "", { json: { expires_in_seconds: 1_000 } }),
    other,
  ].map(({ url }) => url.split("."));
  const before = [await wholeOf(path), await wholeOf(other.path)];
  for (const [i, one] of links.entries()) {
    for (const [j, two] of links.entries()) {
      const mixed = [...one.slice(0, -1), two.at(-1)].join(".");
      if (i !== j) expect((await decideBy(mixed, "allow")).status).toBe(404);
    }
  }
  expect([await wholeOf(path), await wholeOf(other.path)]).toEqual(before);
});

test("[LINK2] [LINK7] any grant comes back from its link as it was, and from no other key", async () => {
  const key = await linkKey({ GATEWAY_LINK_KEY: "a" });
  const other = await linkKey({ GATEWAY_LINK_KEY: "b" });
  const user = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1 }),
    fc.string({ unit: fc.constantFrom('"', "\\", "€", "\u{1f600}"), minLength: 40, maxLength: 64 }),
  );
  const asking: fc.Arbitrary<Principal> = fc.record({
    user_id: user.filter((id) => id.length <= USER_ID_MAX_CHARS),
    scopes: fc.constantFrom(["approve"], ["approve", "admin"]),
  });
  const ids = { session_id: `session_${ulid()}`, input_id: `input_${ulid()}` };
  await fc.assert(
    fc.asyncProperty(asking, fc.integer({ min: 0, max: 8.64e15 }), async (asking, expiresAt) => {
      const grant = { asking, ...ids, expiresAt };
      const link = await signLink(key, grant);
      expect(link.length).toBeLessThan(INPUT_LINK_MAX_CHARS);
      expect(await verifyLink(key, link)).toEqual(grant);
      expect(await verifyLink(other, link)).toBeNull();
    }),
    { numRuns: 50 },
  );
  const longest = { user_id: "€".repeat(USER_ID_MAX_CHARS), scopes: ["approve" as const] };
  const link = await signLink(key, { asking: longest, ...ids, expiresAt: 8.64e15 });
  expect(await verifyLink(key, link)).toMatchObject({ asking: longest });
});

test("[LINK2] GATEWAY_LINK_KEY signs before GATEWAY_TOKEN, and another one makes links void; without both there are none", async () => {
  const { path, inputId, url } = await newLinked();
  const withKey = { env: { GATEWAY_LINK_KEY: "k1" } };
  const keyed = await newLink(path, inputId, withKey);
  expect((await openLink(url, withKey)).status).toBe(404);
  expect((await openLink(keyed.url)).status).toBe(404);
  expect((await openLink(keyed.url, withKey)).status).toBe(200);
  expect((await openLink(keyed.url, { env: { GATEWAY_LINK_KEY: "k2" } })).status).toBe(404);
  expect((await openLink(url, { env: { GATEWAY_TOKEN: "another" } })).status).toBe(404);
  expect((await openLink(keyed.url, { env: { GATEWAY_LINK_KEY: "k1", GATEWAY_TOKEN: "another" } })).status).toBe(200);
  const none = { env: { GATEWAY_TOKEN: "", GATEWAY_LINK_KEY: "" } };
  const refused = await read(await ask("POST", `${path}/inputs/${inputId}/link`, none));
  expect(refused).toMatchObject({ status: 503, body: expect.stringContaining("GATEWAY_LINK_KEY") });
  expect((await openLink(url, none)).status).toBe(503);
});

test("[LINK3] nothing of a link is in the log, in the session, in what is stored, in an error or on the console", async () => {
  const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
    vi.spyOn(console, name).mockReturnValue(),
  );
  const { path, url } = await newLinked();
  const pages = [
    await openLink(`${url}x`),
    await postLink(url, "x"),
    await decideBy(url, "allow"),
    await decideBy(url, "deny"),
  ];
  const told = await Promise.all(pages.map((page) => page.text()));
  const failing = new Proxy(env.SESSIONS, {
    get: () => () => {
      throw new Error("out of order");
    },
  });
  const broken = await read(await openLink(url, { env: { SESSIONS: failing } }));
  expect(broken.status).toBe(500);
  const said = spies
    .flatMap(({ mock }) => mock.calls.flat())
    .map((what) => (what instanceof Error ? what.stack : what));
  for (const spy of spies) spy.mockRestore();
  const listed = await (await ask("GET", "sessions?limit=200")).text();
  const seen = JSON.stringify([await wholeOf(path), told, broken, said, listed]);
  const [payload = "", signature = ""] = url.slice(`${ORIGIN}/answer/`.length).split(".");
  for (const part of [payload, signature, payload.slice(0, 40), signature.slice(0, 20)])
    expect(seen).not.toContain(part);
});

test("[LINK7] a link says nothing to the API, and a token nothing to the page", async () => {
  const { path, url } = await newLinked();
  const link = url.slice(`${ORIGIN}/answer/`.length);
  expect(await codeOf(await ask("GET", path, { token: link }))).toBe("unauthenticated");
  expect((await openLink(`${ORIGIN}/answer/${ADMIN_TOKEN}`, { token: ADMIN_TOKEN })).status).toBe(404);
  expect((await newSession()).pending_inputs).toEqual([]);
});
