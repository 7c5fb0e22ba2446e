import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayError, toProblem } from "../../src/protocol/errors.ts";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import { freePort } from "../support/free-port.ts";
import { serveHttp } from "../support/serve-http.ts";

const SESSION = "session_00000000000000000000000000";

let cli: CommandLine;
beforeEach(() => {
  cli = new CommandLine({ TURNPIKE_TOKEN: "t" });
});
afterEach(() => cli[Symbol.dispose]());

const to = (url: string) => ["--gateway-url", url];

/** A server that treats each connection as it is told. */
async function serveSockets(listener: Parameters<typeof createServer>[1]): Promise<{ server: Server; url: string }> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, url: `http://127.0.0.1:${address.port}` };
}

describe("a new session at an address where nothing answers", () => {
  test("[CLI12] [CLI13] begins in this process, which is told with the address, why, and the model", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await cli.run(["run", "Write 'x' to a.txt", ...to(url)]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    const [first] = stderr.split("\n");
    expect(first).toBe(
      `no gateway answers at ${url} (connect ECONNREFUSED ${new URL(url).host}); ` +
        "going on in this process with the model demo",
    );
    const [sessionId = ""] = cli.sessions;
    expect(stderr).toContain(`\nsession ${sessionId}\nfolder ${cli.filesOf(sessionId)}\n`);
    expect(cli.read(cli.filesOf(sessionId), "a.txt")).toBe("x");
  });

  test.each([
    ["of a name that is not known", async () => ({ url: "http://turnpike.invalid", server: null })],
    ["that hangs up", () => serveSockets((socket) => socket.destroy())],
    ["that speaks no HTTP", () => serveSockets((socket) => socket.end("SSH-2.0-x\r\n"))],
  ])("[CLI12] one %s counts as not answering", async (_name, open) => {
    const { url, server } = await open();
    const { code, stdout, stderr } = await cli.run(["run", "Say 'x'", "--model", "other", ...to(url)]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "x" });
    expect(stderr).toMatch(/^no gateway answers at \S+ \(.+\); going on in this process with the model demo\n/);
    server?.close();
  });

  test("[CLI12] a chat goes on in this process too", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await cli.run(["chat", ...to(url)], { input: "Say 'a'\nSay 'b'\n" });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "a\nb" });
    expect(stderr.match(/no gateway answers/g)).toHaveLength(1);
    expect(cli.sessions).toEqual([sessionIn(stderr)]);
  });

  test("[CLI12] does not begin with --no-fallback, nor for a session that exists", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const args of [
      ["run", "Say 'x'", "--no-fallback"],
      ["chat", "--no-fallback"],
      ["run", "Say 'x'", "--session", SESSION],
      ["resume", SESSION],
      ["sessions"],
    ]) {
      const { code, stdout, stderr } = await cli.run([...args, ...to(url)]);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toBe(`turnpike: No gateway answers at ${url} (connect ECONNREFUSED ${new URL(url).host}).\n`);
    }
    expect(cli.sessions).toEqual([]);
  });
});

/** The API's own words are for who writes headers. */
const WRONG_TOKEN =
  "The gateway does not take this token: it is not one of its own, or it was revoked or has expired. It comes from " +
  "--token, TURNPIKE_TOKEN or, for the gateway on this machine, GATEWAY_TOKEN. (unauthenticated)";

describe("a new session at an address where something answers", () => {
  test.each([
    [401, new GatewayError("unauthenticated", "No.")],
    [403, new GatewayError("forbidden", "No.")],
    [404, new GatewayError("not_found", "No.")],
    [503, new GatewayError("unavailable", "No.")],
    [200, null],
    [302, null],
    [404, null],
    [500, null],
  ])("[CLI12] never begins in this process after HTTP %d", async (status, error) => {
    await using server = await serveHttp((_request, response) => {
      const headers = { "content-type": "application/problem+json", location: "http://127.0.0.1:1/" };
      response.writeHead(status, headers).end(error === null ? "<h1>No.</h1>" : JSON.stringify(toProblem(error)));
    });
    const { code, stdout, stderr } = await cli.run(["run", "Say 'x'", ...to(server.baseUrl)]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    const told = error?.code === "unauthenticated" ? WRONG_TOKEN : `No. (${error?.code})`;
    const strange = `The answer (HTTP ${status}) is not one of this version of the gateway. (unavailable)`;
    expect(stderr).toBe(`turnpike: ${error === null ? strange : told}\n`);
    expect(cli.sessions).toEqual([]);
  });

  test("[CLI12] never begins in this process after an answer that breaks off", async () => {
    await using server = await serveHttp((_request, response) => {
      response.writeHead(201, { "content-length": "100" }).write("{", () => response.destroy());
    });
    const { code, stderr } = await cli.run(["run", "Say 'x'", ...to(server.baseUrl)]);
    expect(code).toBe(3);
    expect(stderr).toBe("turnpike: The answer (HTTP 201) broke off. (unavailable)\n");
  });
});
