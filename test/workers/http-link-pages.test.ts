import { expect, test, vi } from "vitest";
import { JSON_MAX_BYTES, OPTION_MAX_CHARS } from "../../src/protocol/limits.ts";
import { ASKING, decideBy, FORM, newLinked, openLink, postLink, wholeOf } from "./http-link-scene.ts";
import { type Asked, ask, read } from "./http-scene.ts";
import { inputOf, waitOn } from "./http-waiting-scene.ts";

test("[LINK4] [LINK5] a question has its options as buttons and a field for any text, lines as they were typed", async () => {
  const question = JSON.stringify({ question: "Which\ncolour?", options: ["red", 'blue "sky"'] });
  for (const answer of ['blue "sky"', "two\r\nlines"]) {
    const { session_id, url, path, inputId } = await newLinked({}, `Call ask_user with ${question}`);
    const page = await (await openLink(url)).text();
    expect(page).toContain("Which\ncolour?");
    expect(page).toContain('<button name="response" value="blue &quot;sky&quot;"');
    expect(page).toMatch(/<label for="response">[^<]+<\/label>\s*<textarea id="response" name="response"/);
    expect(page).toContain("the agent is told that nobody answered");
    expect((await decideBy(url, answer)).status).toBe(200);
    const kept = answer.replace("\r\n", "\n");
    expect((await inputOf(path, inputId)).response).toBe(kept);
    await waitOn(session_id, "Say 'after'");
    expect(await (await openLink(url)).text()).toContain(kept.replaceAll('"', "&quot;"));
  }
});

test("[LINK8] what is no form of the page is refused, and changes nothing", async () => {
  const { path, url } = await newLinked();
  const before = await wholeOf(path);
  const large = `response=${"x".repeat(JSON_MAX_BYTES)}`;
  const refused: [string, Asked, number][] = [
    ["", {}, 400],
    ["answer=allow", {}, 400],
    ["response=maybe", {}, 400],
    ["response=", {}, 400],
    ["response=allow&response=deny", {}, 400],
    ["response=allow&via=token", {}, 400],
    [large, {}, 413],
    ['{"response":"allow"}', { headers: { "content-type": "application/json" } }, 415],
    ["response=allow", { headers: { "content-type": "text/plain" } }, 415],
    ["response=allow", { headers: { ...FORM, "content-encoding": "gzip" } }, 415],
  ];
  for (const [body, asked, status] of refused) {
    const page = await read(await postLink(url, body, asked));
    expect([body.slice(0, 40), page.status]).toEqual([body.slice(0, 40), status]);
    expect(page.headers["content-type"]).toBe("text/html; charset=UTF-8");
    expect(page.body).toContain('<a href="">Back to what is asked</a>');
  }
  for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS"]) {
    expect((await read(await openLink(`${url}x`, { method }))).status).toBe(404);
    const page = await read(await openLink(url, { method }));
    expect(page).toMatchObject({ status: 405, headers: { allow: "GET, HEAD, POST" } });
  }
  expect((await decideBy(url, "allow")).status).toBe(200);
  expect(await wholeOf(path)).not.toEqual(before);
});

test("[LINK8] [LINK7] a session that is gone, and settings that are not valid, are pages too", async () => {
  const { path, url } = await newLinked();
  const lines = vi.spyOn(console, "error").mockReturnValue();
  const invalid = await read(await openLink(url, { env: { GATEWAY_PERMISSIONS: "x" } }));
  expect(invalid).toMatchObject({ status: 503, headers: { "content-type": "text/html; charset=UTF-8" } });
  expect(invalid.body).not.toContain("GATEWAY_");
  const withoutSecret = await read(await openLink(url, { env: { GATEWAY_TOKEN: "" } }));
  expect(withoutSecret).toEqual({ ...invalid, headers: withoutSecret.headers, body: withoutSecret.body });
  expect(withoutSecret.body).not.toContain("GATEWAY_");
  lines.mockRestore();
  await read(await ask("DELETE", path));
  for (const response of [await openLink(url), await decideBy(url, "allow")]) {
    expect(await read(response)).toMatchObject({ status: 404, body: expect.stringContaining("does not work") });
  }
  for (const nothing of ["/answer", "/answer/", "/answer/a/b", "/answer/x.y"]) {
    expect(await read(await openLink(nothing))).toMatchObject({
      status: 404,
      body: expect.stringContaining("<!doctype"),
    });
  }
});

test("[LINK9] nothing that a model or a user wrote becomes a part of the page", async () => {
  const evil = `</pre></title><script>alert(1)</script><img src=x onerror='a'>"&amp;`;
  const title = `<b onclick="x">${evil}`;
  const content = `\n${evil}\u202egnp.exe\u200b\u0000`;
  const call = `Call write with ${JSON.stringify({ path: "a.txt", content })}`;
  const options = [`"><script>alert(2)</script>`.slice(0, OPTION_MAX_CHARS)];
  const question = `Call ask_user with ${JSON.stringify({ question: evil, options })}`;
  for (const input of [call, question]) {
    const { url } = await newLinked({ ...ASKING, title }, input);
    const page = await (await openLink(url)).text();
    expect(page).toContain("&lt;script&gt;alert(");
    expect(page).toContain("&lt;b onclick=&quot;x&quot;&gt;");
    expect(page).not.toMatch(/<script|<img|<b /);
    if (input === call) {
      expect(page).toContain("\\u{202e}gnp.exe\\u{200b}\\u{0}");
      // A browser takes away the first line feed of a block, and leaves the text its own.
      expect(page).toContain('<pre dir="auto">\n\n&lt;/pre&gt;');
    }
    for (const hiding of ["\u202e", "\u200b", "\0"]) expect(page).not.toContain(hiding);
    const asked = input === call ? "allow" : evil;
    const done = await (await decideBy(url, asked)).text();
    expect(done).not.toMatch(/<script|<img|<b /);
  }
});

test("[LINK10] every page lets nothing run, load or frame it, and is kept nowhere", async () => {
  const { url } = await newLinked();
  const pages = [
    await openLink(url),
    await openLink(`${url}x`),
    await openLink(url, { method: "PUT" }),
    await postLink(url, ""),
    await decideBy(url, "deny"),
    await decideBy(url, "allow"),
  ];
  for (const response of pages) {
    const { headers, body } = await read(response);
    const nonce = /<style nonce="([0-9a-f-]{36})">/.exec(body)?.[1];
    expect(headers).toMatchObject({
      "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
      "x-frame-options": "DENY",
      "x-robots-tag": "noindex, nofollow",
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
    expect(body).not.toMatch(/ style=|<link|<script| src=| on[a-z]+=/);
    expect(body).toMatch(/^<!doctype html>\s<html lang="en">/);
    expect(body).toContain('<meta name="viewport"');
  }
});
