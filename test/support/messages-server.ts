/**
 * A server that speaks the Messages API's stream over real HTTP and says what it is told to
 * (https://docs.claude.com/en/docs/build-with-claude/streaming). Tests inside workerd reach it with `fetch` alone:
 *
 * - `POST /_script/<key>` registers a script. A request belongs to the script whose key is its model's name, or its API
 *   key, so that tests that run at once do not disturb each other.
 * - `GET /_requests/<key>?count=N` answers once N requests have come, with all that have: `[{headers, body}]`.
 * - `GET /_closed/<key>/<n>` answers once the connection of request n (from 0) has ended: `{by: "server" | "client"}`;
 *   with `?now` at once, `{by: null}` while it is open.
 * - `POST /_release/<key>/<name>` lets what waits for the name go on.
 *
 * A request without a script gets a short message that says so. Run by itself (`node test/support/messages-server.ts
 * [port]`) it is the model for a gateway whose `ANTHROPIC_BASE_URL` is its address.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text as readText } from "node:stream/consumers";
import { setImmediate as nextLoop } from "node:timers/promises";
import * as z from "zod";
import { encodeEvent, failure, message, type Reply, type Script, script, text } from "./messages-script.ts";

export type MessagesServer = { url: string; close(): Promise<void> };

/** Something that happens once. */
type Latch<T> = { happened: Promise<T>; open(value: T): void };

type Closer = "server" | "client";

/** What a test of the server's own process may do beside scripts. */
export type Hand = {
  /** Answers a call that has no script; `closed` says who ended its connection, once it has ended. */
  reply?(body: unknown, closed: Promise<Closer>): Reply;
  /** A call's reply has come to where it sends nothing more. */
  stalls?(): void;
};

type Received = { headers: IncomingMessage["headers"]; body: unknown; closed: Latch<Closer>; closedBy: Closer | null };

/** A script, and what came of it. */
type Run = {
  script: Script;
  received: Received[];
  arrivals: Map<number, Latch<void>>;
  holds: Map<string, Latch<void>>;
};

const EVENT_STREAM = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/** Starts a server on this machine, on a free port if none is given. `close` ends it and every connection. */
export async function startMessagesServer(port = 0, hand: Hand = {}): Promise<MessagesServer> {
  const runs = new Map<string, Run>();
  // No connection is closed for being idle: a request that is on its way just then would be lost.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    answer({ runs, hand }, request, response).catch((error) => response.destroy(error));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port.");
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

type Told = { runs: Map<string, Run>; hand: Hand };

async function answer(told: Told, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { runs } = told;
  const url = new URL(request.url ?? "/", "http://server");
  const [, action = "", key = "", name = ""] = url.pathname.split("/").map(decodeURIComponent);
  const body: unknown = request.method === "POST" ? JSON.parse((await readText(request)) || "null") : null;
  if (url.pathname === "/v1/messages") return answerMessages(told, { headers: request.headers, body }, response);
  if (action === "_script") {
    runs.set(key, { script: script.parse(body), received: [], arrivals: new Map(), holds: new Map() });
    return sendJson(response, 200, {});
  }
  const run = runs.get(key);
  if (run === undefined) return sendJson(response, 404, { error: `There is no script ${key}.` });
  switch (action) {
    case "_requests": {
      const count = Number(url.searchParams.get("count") ?? 0);
      if (count > 0) await latchOf(run.arrivals, count - 1).happened;
      const received = run.received.map(({ headers, body: sent }) => ({ headers, body: sent }));
      return sendJson(response, 200, received);
    }
    case "_closed": {
      if (url.searchParams.has("now"))
        return sendJson(response, 200, { by: run.received[Number(name)]?.closedBy ?? null });
      await latchOf(run.arrivals, Number(name)).happened;
      return sendJson(response, 200, { by: await run.received[Number(name)]?.closed.happened });
    }
    case "_release":
      latchOf(run.holds, name).open();
      return sendJson(response, 200, {});
    default:
      return sendJson(response, 404, { error: `There is no ${url.pathname}.` });
  }
}

/** Answers a call of the Messages API with the next reply of its script. */
async function answerMessages(
  { runs, hand }: Told,
  { headers, body }: Pick<Received, "headers" | "body">,
  response: ServerResponse,
): Promise<void> {
  const closed = latch<Closer>();
  const run = runs.get(modelOf(body)) ?? runs.get(apiKeyOf(headers));
  if (run === undefined) {
    const reply = hand.reply?.(body, closed.happened) ?? unscripted(body);
    return send(response, reply, { holds: new Map(), closed, hand });
  }
  const received: Received = { headers, body, closed, closedBy: null };
  void closed.happened.then((by) => {
    received.closedBy = by;
  });
  const number = run.received.push(received) - 1;
  latchOf(run.arrivals, number).open();
  const missing = failure(400, "invalid_request_error", `The script has no reply for request ${number}.`);
  await send(response, run.script[number] ?? missing, { holds: run.holds, closed, hand });
}

async function send(
  response: ServerResponse,
  reply: Reply,
  { holds, closed, hand }: { holds: Map<string, Latch<void>>; closed: Latch<Closer>; hand: Hand },
): Promise<void> {
  // Whoever opens the latch first has closed the connection.
  response.once("close", () => closed.open(response.writableFinished ? "server" : "client"));
  for (const part of reply) {
    if (response.destroyed) return;
    switch (part.part) {
      case "head":
        response.writeHead(part.status, part.headers);
        response.flushHeaders();
        break;
      case "event":
        await write(response, Buffer.from(encodeEvent(part)));
        break;
      case "bytes":
        await write(response, Buffer.from(part.base64, "base64"));
        break;
      case "hold":
        await Promise.race([latchOf(holds, part.name).happened, closed.happened]);
        break;
      case "stall":
        hand.stalls?.();
        await closed.happened;
        break;
      case "cut":
        closed.open("server");
        response.destroy();
        break;
      case "reset":
        closed.open("server");
        response.socket?.resetAndDestroy();
        break;
    }
  }
  response.end();
}

/** Writes bytes by themselves: the next ones go out only after these were handed to the socket. */
async function write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  if (!response.headersSent) response.writeHead(200, EVENT_STREAM);
  await new Promise<void>((resolve) => response.write(bytes, () => resolve()));
  await nextLoop();
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function unscripted(body: unknown): Reply {
  return message([text(`This is a scripted server without a script for the model ${modelOf(body)}.`, 8)]);
}

const call = z.looseObject({ model: z.string() });

function modelOf(body: unknown): string {
  return call.safeParse(body).data?.model ?? "";
}

function apiKeyOf(headers: IncomingMessage["headers"]): string {
  const key = headers["x-api-key"] ?? headers.authorization?.replace(/^Bearer /, "");
  return typeof key === "string" ? key : "";
}

function latch<T>(): Latch<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { happened: promise, open: resolve };
}

/** The latch of this name, which may be waited for before it is opened and the other way round. */
function latchOf<K>(latches: Map<K, Latch<void>>, key: K): Latch<void> {
  const known = latches.get(key) ?? latch<void>();
  latches.set(key, known);
  return known;
}

if (import.meta.main) {
  const server = await startMessagesServer(Number(process.argv[2] ?? 0));
  console.log(`The Messages API is scripted at ${server.url}`);
}
