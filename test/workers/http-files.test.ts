import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FILE_MAX_BYTES } from "../../src/protocol/limits.ts";
import { eventPage, fileInfo, filePage } from "../../src/protocol/rest.ts";
import { type Asked, ask, codeOf, newSession, ORIGIN, read } from "./http-scene.ts";

const { session_id } = await newSession();
const files = (path: string) => `sessions/${session_id}/files/${path}`;
const put = (path: string, body: BodyInit, asked: Asked = {}) => ask("PUT", files(path), { body, ...asked });
const get = (path: string, headers: Record<string, string> = {}) => ask("GET", files(path), { headers });
const listed = async () =>
  filePage
    .parse(await (await ask("GET", `sessions/${session_id}/files?limit=200`)).json())
    .files.map(({ path }) => path);
const streamOf = (...chunks: Uint8Array[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

test("[FILE3] [FILE2] a PUT is 201 for a new file and 200 for one that was there, with its entry and ETag", async () => {
  const first = await put("docs/a.md", "one");
  expect(first.status).toBe(201);
  const info = fileInfo.parse(await first.json());
  expect(info).toMatchObject({ path: "docs/a.md", size: 3, sha256: await sha256(new TextEncoder().encode("one")) });
  expect(first.headers.get("etag")).toBe(`"${info.sha256}"`);
  const second = await put("docs/a.md", "two!");
  expect(second.status).toBe(200);
  expect(fileInfo.parse(await second.json())).toMatchObject({ path: "docs/a.md", size: 4 });
  expect(await (await get("docs/a.md")).text()).toBe("two!");
});

test("[FILE11] a file is read back byte for byte, with or without a length, in any chunks", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), async (chunks) => {
      const whole = new Uint8Array(await new Blob(chunks.map((chunk) => new Uint8Array(chunk))).arrayBuffer());
      const sized = { "content-length": `${whole.byteLength}` };
      for (const headers of [{}, sized]) {
        const stored = await put("any.bin", streamOf(...chunks), { headers });
        expect(fileInfo.parse(await stored.json())).toMatchObject({
          size: whole.byteLength,
          sha256: await sha256(whole),
        });
        expect(new Uint8Array(await (await get("any.bin")).arrayBuffer())).toEqual(whole);
      }
    }),
    { numRuns: 25 },
  );
});

test("[FILE2] [FILE7] a file comes with its headers, and HEAD has the same", async () => {
  const name = `"q'uo;te*\u00e4 🚀(1).html`;
  const info = fileInfo.parse(await (await put(`d/${encodeURIComponent(name)}`, "<script>")).json());
  const got = await read(await get(`d/${encodeURIComponent(name)}`));
  expect(got.body).toBe("<script>");
  expect(got.headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "content-length": "8",
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache, no-transform",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    etag: `"${info.sha256}"`,
    "last-modified": new Date(info.modified_at).toUTCString(),
    "content-disposition": `attachment; filename="_q_uo_te__ ___1_.html"; filename*=UTF-8''%22q%27uo%3Bte%2A%C3%A4%20%F0%9F%9A%80%281%29.html`,
  });
  const head = await read(await ask("HEAD", files(`d/${encodeURIComponent(name)}`)));
  expect(head).toEqual({ ...got, body: "" });
});

test("[FILE10] the content type is the request's if it is one, else it follows from the name", async () => {
  const types: [string, string, string][] = [
    ["a.png", "", "image/png"],
    ["a.unknown", "", "application/octet-stream"],
    ["a.png", "text/csv", "text/csv"],
    ["a.png", 'text/csv; x=1; charset="UTF-8" ; y="a;b"', "text/csv; charset=utf-8"],
    ["a.png", "text/html; charset=utf-16", "text/html"],
    ["a.png", "text/html; charset=utf-8-or-so", "text/html"],
    ["a.png", "text/html; charset", "image/png"],
    ["a.png", "text/plain;charset=UTF-8", "image/png"],
    ["a.png", "application/x-www-form-urlencoded", "image/png"],
    ["a.png", "nonsense", "image/png"],
    ["a.png", "text/html, text/plain", "image/png"],
    ["a.png", `text/${"x".repeat(300)}`, "image/png"],
  ];
  for (const [path, sent, kept] of types) {
    const stored = await put(path, new Uint8Array([1]), { headers: sent === "" ? {} : { "content-type": sent } });
    expect([sent, fileInfo.parse(await stored.json()).content_type]).toEqual([sent, kept]);
    expect((await read(await get(path))).headers["content-type"]).toBe(kept);
  }
});

test("[FILE6] one range of bytes is a 206, one beyond the file a 416, anything else the whole file", async () => {
  await read(await put("ten.txt", "0123456789"));
  await read(await put("empty.txt", ""));
  const partial: [string, string, string][] = [
    ["bytes=0-0", "0", "bytes 0-0/10"],
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=9-999999999999999999999", "9", "bytes 9-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-30", "0123456789", "bytes 0-9/10"],
    ["Bytes= 1-1 ", "1", "bytes 1-1/10"],
  ];
  for (const [range, body, contentRange] of partial) {
    const got = await read(await get("ten.txt", { range }));
    expect([range, got.status, got.body]).toEqual([range, 206, body]);
    expect(got.headers).toMatchObject({ "content-range": contentRange, "content-length": `${body.length}` });
  }
  for (const range of ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"]) {
    const response = await get("ten.txt", { range });
    expect([range, response.status, response.headers.get("content-range")]).toEqual([range, 416, "bytes */10"]);
    expect(await codeOf(response)).toBe("range_not_satisfiable");
  }
  for (const range of ["bytes=0-", "bytes=-1"])
    expect((await read(await get("empty.txt", { range }))).status).toBe(416);
  const whole = [
    "bytes=4-2",
    "bytes=0-1,3-4",
    "lines=1-2",
    "bytes",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-2-3",
    "bytes=+1-2",
  ];
  for (const range of whole) {
    expect([range, await read(await get("ten.txt", { range }))]).toMatchObject([
      range,
      { status: 200, body: "0123456789" },
    ]);
  }
});

test("[FILE6] a range goes for the version that If-Range names", async () => {
  const { etag } = (await read(await put("ten.txt", "0123456789"))).headers;
  expect((await read(await get("ten.txt", { range: "bytes=0-1", "if-range": etag ?? "" }))).status).toBe(206);
  for (const other of ['"other"', `W/${etag}`, "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    expect((await read(await get("ten.txt", { range: "bytes=0-1", "if-range": other }))).status).toBe(200);
  }
});

test("[FILE5] conditions are kept on GET and HEAD", async () => {
  const { headers } = await read(await put("cond.txt", "x"));
  const etag = headers["etag"] ?? "";
  for (const method of ["GET", "HEAD"]) {
    const status = async (conditions: Record<string, string>) =>
      (await read(await ask(method, files("cond.txt"), { headers: conditions }))).status;
    expect(await status({ "if-none-match": etag })).toBe(304);
    expect(await status({ "if-none-match": `"a", W/${etag} ,"b"` })).toBe(304);
    expect(await status({ "if-none-match": "*" })).toBe(304);
    expect(await status({ "if-none-match": '"a", "b"' })).toBe(200);
    expect(await status({ "if-match": etag })).toBe(200);
    expect(await status({ "if-match": "*" })).toBe(200);
    expect(await status({ "if-match": `"a",${etag}` })).toBe(200);
    expect(await status({ "if-match": `W/${etag}` })).toBe(412);
    expect(await status({ "if-match": '"a"' })).toBe(412);
    for (const bad of ["", "a", '"a', '"a" "b"', "W/a", "*, *", '"a\tb"', 'w/"a"']) {
      expect([bad, await status({ "if-match": bad })]).toEqual([bad, 400]);
    }
  }
  const unchanged = await read(await get("cond.txt", { "if-none-match": etag }));
  expect(unchanged.body).toBe("");
  expect(unchanged.headers).toMatchObject({ etag, "cache-control": "private, no-cache, no-transform" });
});

test("[FILE5] [FILE9] conditions are kept on PUT and DELETE, and a refusal changes nothing", async () => {
  const etag = (await put("guarded.txt", "first")).headers.get("etag") ?? "";
  const refused: Record<string, string>[] = [
    { "if-none-match": "*" },
    { "if-match": '"x"' },
    { "if-none-match": etag },
  ];
  for (const headers of refused) {
    expect(await codeOf(await put("guarded.txt", "second", { headers }))).toBe("precondition_failed");
    expect(await codeOf(await ask("DELETE", files("guarded.txt"), { headers }))).toBe("precondition_failed");
  }
  expect(await codeOf(await put("none.txt", "x", { headers: { "if-match": "*" } }))).toBe("precondition_failed");
  expect(await (await get("guarded.txt")).text()).toBe("first");
  expect((await put("guarded.txt", "second", { headers: { "if-match": etag } })).status).toBe(200);
  expect((await put("fresh.txt", "x", { headers: { "if-none-match": "*" } })).status).toBe(201);
});

test("[FILE3] DELETE is 204, and 404 where there is no file", async () => {
  await read(await put("gone.txt", "x"));
  expect(await read(await ask("DELETE", files("gone.txt")))).toMatchObject({ status: 204, body: "" });
  for (const method of ["GET", "HEAD", "DELETE"])
    expect((await read(await ask(method, files("gone.txt")))).status).toBe(404);
});

test("[FILE4] [FILE9] a body that is too large is refused whatever it says of itself, and leaves nothing", async () => {
  const before = await listed();
  const blobs = async () => (await env.BLOBS.list()).objects.length;
  const stored = await blobs();
  const megabyte = new Uint8Array(1024 * 1024);
  const long = () => {
    let sent = 0;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => (sent++ < 33 ? controller.enqueue(megabyte) : controller.close()),
    });
  };
  expect(await codeOf(await put("big.bin", long()))).toBe("too_large");
  const claimed = { headers: { "content-length": `${FILE_MAX_BYTES + 1}` } };
  expect(await codeOf(await put("big.bin", "x", claimed))).toBe("too_large");
  expect(await listed()).toEqual(before);
  expect(await blobs()).toBe(stored);
});

test("[FILE9] an upload that breaks off, or is not as long as it said, changes nothing", async () => {
  await read(await put("half.bin", "whole"));
  const broken = () => {
    let sent = 0;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (sent++ === 0) controller.enqueue(new Uint8Array(10));
        else controller.error(new Error("gone"));
      },
    });
  };
  const stored = (await env.BLOBS.list()).objects.length;
  for (const headers of [{}, { "content-length": "20" }]) {
    expect(await codeOf(await put("half.bin", broken(), { headers }))).toBe("invalid_request");
  }
  for (const length of ["4", "6"]) {
    const lying = put("half.bin", streamOf(new Uint8Array(5)), { headers: { "content-length": length } });
    expect(await codeOf(await lying)).toBe("invalid_request");
  }
  expect(await (await get("half.bin")).text()).toBe("whole");
  expect((await env.BLOBS.list()).objects).toHaveLength(stored);
});

test("[FILE9] a part of a file, and a compressed one, are refused", async () => {
  expect(await codeOf(await put("a.txt", "x", { headers: { "content-range": "bytes 0-0/1" } }))).toBe(
    "invalid_request",
  );
  expect(await codeOf(await put("a.txt", "x", { headers: { "content-encoding": "gzip" } }))).toBe(
    "unsupported_media_type",
  );
});

test("[GUARD1] a path is decoded once, and an encoded slash is a slash of the file's path", async () => {
  const paths: [string, string][] = [
    ["a%2Fb.txt", "a/b.txt"],
    ["100%25.txt", "100%.txt"],
    ["%252e%252e%252fx", "%2e%2e%2fx"],
    ["caf%C3%A9.txt", "caf\u00e9.txt"],
    ["cafe%CC%81.txt", "caf\u00e9.txt"],
    ["x//y/./z.txt", "x/y/z.txt"],
    ["a+b.txt", "a+b.txt"],
    ["%3Fq%23h", "?q#h"],
    ["d/..%2Fe.txt", "e.txt"],
    ["%2Fworkspace%2Ff.txt", "f.txt"],
  ];
  for (const [sent, stored] of paths) {
    expect([sent, fileInfo.parse(await (await put(sent, "x")).json()).path]).toEqual([sent, stored]);
    expect((await read(await get(encodeURIComponent(stored)))).status).toBe(200);
  }
});

test("[GUARD4] [GUARD6] every way out is path_refused, and nothing is written", async () => {
  const before = await listed();
  const bad = [
    "",
    "%2e%2e%2fx",
    "..%2fx",
    "a/..%2f..%2fx",
    "%2fetc%2fpasswd",
    "%2Fworkspace%2F..%2Fx",
    "%2Fworkspace2%2Fx",
    "~",
    "~%2Fx",
    "%7Eroot",
    "a%00b",
    "a%0Ab",
    "a%5Cb",
    "..%5Cx",
    "%ff",
    "%E2%82",
    "%",
    "%zz",
    "%u0041",
    "%ED%A0%80",
    "x".repeat(513),
    "%C3%A9".repeat(257),
    ".",
    "d%2F",
    "%20%2F..%2F..",
  ];
  for (const path of bad) {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await ask(method, files(path), method === "PUT" ? { body: "x" } : {});
      const status = response.status;
      const code = await codeOf(response);
      // The URL parser takes "." away before anyone sees it, and an empty path is left.
      expect([path, method, code, status]).toEqual([path, method, "path_refused", 400]);
    }
  }
  expect(await listed()).toEqual(before);
});

test("[GUARD7] what the URL parser resolved arrives as another route", async () => {
  expect(new URL(`${ORIGIN}/api/v1/${files("../../x")}`).pathname).toBe("/api/v1/sessions/x");
  expect(await codeOf(await put("../../x", "x"))).toBe("method_not_allowed");
  expect(await codeOf(await put("../../../../../etc/passwd", "x"))).toBe("not_found");
  expect(await codeOf(await put("%2e%2e/%2E%2e/x", "x"))).toBe("method_not_allowed");
});

test("[FILE8] what a client changes is told in the log", async () => {
  const own = await newSession();
  const path = `sessions/${own.session_id}/files/a.txt`;
  const { sha256: sum } = fileInfo.parse(await (await ask("PUT", path, { body: "x" })).json());
  await read(await ask("DELETE", path));
  const { events } = eventPage.parse(await (await ask("GET", `sessions/${own.session_id}/events`)).json());
  expect(events).toMatchObject([
    { type: "STATUS", turn_id: null, data: { status: "file_changed", path: "a.txt", sha256: sum } },
    { type: "STATUS", turn_id: null, data: { status: "file_changed", path: "a.txt", sha256: null } },
  ]);
});

test("[FILE1] files are listed by path, in pages, under a prefix", async () => {
  const own = await newSession();
  const base = `sessions/${own.session_id}/files`;
  for (const path of ["b.txt", "a/2.txt", "a/1.txt", "a.txt"])
    await read(await ask("PUT", `${base}/${path}`, { body: path }));
  const page = async (query: string) => filePage.parse(await (await ask("GET", `${base}${query}`)).json());
  expect((await page("")).files.map(({ path }) => path)).toEqual(["a.txt", "a/1.txt", "a/2.txt", "b.txt"]);
  expect((await page("?prefix=a/")).files.map(({ path }) => path)).toEqual(["a/1.txt", "a/2.txt"]);
  const first = await page("?limit=3");
  const rest = await page(`?limit=3&cursor=${encodeURIComponent(first.next_cursor ?? "")}`);
  expect(rest.files.map(({ path }) => path)).toEqual(["b.txt"]);
  expect(rest.next_cursor).toBeNull();
  for (const cursor of ["x", "%00", btoa("x")]) {
    expect(await codeOf(await ask("GET", `${base}?cursor=${cursor}`))).toBe("bad_cursor");
  }
});
