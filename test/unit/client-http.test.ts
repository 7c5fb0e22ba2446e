import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { GatewayError, toProblem } from "../../src/protocol/errors.ts";
import { FILE_MAX_BYTES } from "../../src/protocol/limits.ts";
import { serveHttp } from "../support/serve-http.ts";

async function lastOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  let last: T | undefined;
  for await (const item of items) last = item;
  return last;
}

test("[ERR6] an error is rebuilt from the problem that the gateway sent", async () => {
  const sent = new GatewayError("invalid_request", "No.", [{ path: "model", message: "too long" }]);
  await using server = await serveHttp((_request, response) => {
    response
      .writeHead(sent.status, { "content-type": "application/problem+json" })
      .end(JSON.stringify(toProblem(sent)));
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  await expect(gateway.createSession()).rejects.toEqual(sent);
});

test("[LIMIT1] [ERR6] an error says when to come back, as the gateway said it", async () => {
  const sent = new GatewayError("rate_limited", "No.", undefined, 60);
  await using server = await serveHttp((_request, response) => {
    response
      .writeHead(sent.status, { "content-type": "application/problem+json", "retry-after": "60" })
      .end(JSON.stringify(toProblem(sent)));
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  await expect(gateway.createSession()).rejects.toMatchObject({ code: "rate_limited", retryAfterSeconds: 60 });
});

test("[CLI3] an answer that is not a gateway's is `unavailable`, with its status", async () => {
  await using server = await serveHttp((request, response) => {
    response.writeHead(request.method === "POST" ? 502 : 200, { "content-type": "text/html" }).end("<h1>proxy</h1>");
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  await expect(gateway.createSession()).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("HTTP 502"),
  });
  await expect(gateway.listSessions()).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("HTTP 200"),
  });
});

test("[CLI3] [CLI8] an answer that breaks off in its body is `unavailable`, and may be asked for again", async () => {
  await using server = await serveHttp((_request, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write('{"half', () => response.destroy());
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  await expect(gateway.listSessions()).rejects.toMatchObject({ code: "unavailable" });
});

test("[CLI3] where nothing answers, or no longer, it is `unavailable`", async () => {
  const server = await serveHttp((request) => request.socket.destroy());
  const gateway = new ExternalGateway({ ...server, token: "t", giveUpAfterMs: 300 });
  await expect(gateway.health()).rejects.toMatchObject({ code: "unavailable" });
  await server[Symbol.asyncDispose]();
  await expect(gateway.health()).rejects.toMatchObject({ code: "unavailable" });
  await expect(gateway.runQuery("session_x", { user_input: "hi" })).rejects.toMatchObject({ code: "unavailable" });
  const events = gateway.execute("session_x", { user_input: "hi" });
  await expect(lastOf(events)).rejects.toMatchObject({ code: "unavailable" });
});

test("[CLI8] a client that was closed, or whose signal was aborted, stops at once", async () => {
  // Takes every request and never answers.
  await using server = await serveHttp(() => undefined);
  const gateway = new ExternalGateway({ ...server, token: "t" });
  const stop = new AbortController();
  const listing = gateway.listSessions({}, { signal: stop.signal });
  const events = lastOf(gateway.execute("session_x", { user_input: "hi" }));
  stop.abort(new Error("enough"));
  await expect(listing).rejects.toThrow("enough");
  await gateway.close();
  await expect(events).rejects.toMatchObject({ code: "unavailable", message: "The client was closed." });
  await expect(gateway.health()).rejects.toMatchObject({ code: "unavailable" });
});

test("[CLIENT15] a file that is too large is not sent", async () => {
  let requests = 0;
  await using server = await serveHttp((_request, response) => {
    requests++;
    response.destroy();
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  const tooLarge = gateway.writeFile("s", "a", new Uint8Array(FILE_MAX_BYTES + 1));
  await expect(tooLarge).rejects.toMatchObject({ name: "GatewayError", code: "too_large" });
  expect(requests).toBe(0);
});
