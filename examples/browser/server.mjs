/**
 * The server of a page that follows an agent: it holds the token, which no browser ever sees, and gives each visitor tickets
 * for the visitor's own session. `node server.mjs`, then open the address that it prints.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { ExternalGateway } from "turnpike/client";

const {
  TURNPIKE_GATEWAY_URL: baseUrl = "http://127.0.0.1:8787",
  TURNPIKE_TOKEN: token = "",
  PORT = "8080",
} = process.env;
const gateway = new ExternalGateway({ baseUrl, token });

const read = (/** @type {string} */ url) => readFileSync(fileURLToPath(url));
/** @type {Record<string, [type: string, body: Uint8Array]>} */
const FILES = {
  "/": ["text/html; charset=utf-8", read(import.meta.resolve("./page.html"))],
  "/page.js": ["text/javascript", read(import.meta.resolve("./page.js"))],
  "/turnpike.js": ["text/javascript", read(import.meta.resolve("turnpike/client"))],
};

/** The session of each visitor, by a cookie that nobody can guess. @type {Map<string, string>} */
const sessions = new Map();

/**
 * Whether a page of another origin asks. Its browser keeps the cookie back, and would take a new one in its place.
 *
 * @param {import("node:http").IncomingHttpHeaders} headers
 */
function isForeign({ origin, host }) {
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
}

const server = createServer(async (request, response) => {
  try {
    if (isForeign(request.headers)) return answer(response, { error: "Pages of this origin may not ask here." }, 403);
    const file = FILES[request.url ?? ""];
    if (request.method === "GET" && file !== undefined) {
      response.setHeader("content-type", file[0]).end(file[1]);
    } else if (request.method === "POST" && request.url === "/session") {
      const known = /\bvisitor=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
      const sessionId = sessions.get(known) ?? (await gateway.createSession({ title: "A visitor" })).session_id;
      const visitor = sessions.has(known) ? known : randomBytes(32).toString("hex");
      sessions.set(visitor, sessionId);
      // Strict: no other site can ask in a visitor's name.
      response.setHeader("set-cookie", `visitor=${visitor}; HttpOnly; SameSite=Strict; Path=/`);
      answer(response, { gateway: baseUrl, session_id: sessionId });
    } else if (request.method === "POST" && request.url === "/ticket") {
      const visitor = /\bvisitor=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
      const sessionId = sessions.get(visitor);
      if (sessionId === undefined) answer(response, { error: "You have no session." }, 403);
      else answer(response, await gateway.createTicket(sessionId, { scopes: ["read", "write"] }));
    } else {
      answer(response, { error: "There is nothing here." }, 404);
    }
  } catch (thrown) {
    console.error(thrown);
    answer(response, { error: "The gateway cannot be asked." }, 502);
  }
});

/** @param {import("node:http").ServerResponse} response @param {unknown} body */
function answer(response, body, status = 200) {
  response
    .writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
    .end(JSON.stringify(body));
}

server.listen(Number(PORT), "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(`Open http://127.0.0.1:${address.port}`);
    console.log("That origin must be in the gateway's GATEWAY_ALLOWED_ORIGINS.");
  }
});
