/**
 * The least that a gateway on this platform does, to hold ours against: a Worker that passes the model's stream on, an
 * object that broadcasts it, each piece as it comes. Nothing is checked, stored or resumed.
 */
import { DurableObject } from "cloudflare:workers";

type Env = {
  MODEL_URL: string;
  BROADCASTER: DurableObjectNamespace<Broadcaster>;
  ROWS: DurableObjectNamespace<Rows>;
  CATALOG: D1Database;
};

export class Broadcaster extends DurableObject<Env> {
  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(_: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { body } = await askModel(this.env, message);
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) {
      const text = decoder.decode(chunk, { stream: true });
      for (const socket of this.ctx.getWebSockets()) socket.send(text);
    }
  }
}

/** Sends rows as they are stored: each as a frame over a WebSocket, all as one body of server-sent events, or in pages. */
export class Rows extends DurableObject<Env> {
  override async fetch(request: Request): Promise<Response> {
    const { sql } = this.ctx.storage;
    if (request.method === "PUT") {
      sql.exec("CREATE TABLE rows (seq INTEGER PRIMARY KEY, frame TEXT NOT NULL)");
      const frames = (await request.text()).split("\n");
      for (const frame of frames) sql.exec("INSERT INTO rows (frame) VALUES (?)", frame);
      return new Response(null, { status: 204 });
    }
    if (request.headers.has("upgrade")) {
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      for (const [, frame] of this.#rows(0, -1)) server.send(frame);
      return new Response(null, { status: 101, webSocket: client });
    }
    const { searchParams } = new URL(request.url);
    const after = Number(searchParams.get("after"));
    if (request.headers.get("accept") === "text/event-stream") {
      const events = [...this.#rows(after, -1)].map(([seq, frame]) => `id: ${seq}\ndata: ${frame}\n\n`);
      return new Response(events.join(""), { headers: { "content-type": "text/event-stream" } });
    }
    const page = [...this.#rows(after, Number(searchParams.get("limit")))];
    const last = page.at(-1)?.[0] ?? after;
    return new Response(`{"events":[${page.map(([, frame]) => frame).join(",")}],"next_cursor":"${last}"}`);
  }

  #rows(after: number, limit: number) {
    const query = "SELECT seq, frame FROM rows WHERE seq > ? ORDER BY seq LIMIT ?";
    return this.ctx.storage.sql.exec(query, after, limit).raw<[number, string]>();
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/pass-through") return askModel(env, await request.text());
    if (pathname === "/replay") return env.ROWS.getByName(pathname).fetch(request);
    if (pathname === "/row") return insertRow(env.CATALOG, await request.text());
    return env.BROADCASTER.getByName(pathname).fetch(request);
  },
};

/** @param content the message that the model gets */
function askModel(env: Env, content: string | ArrayBuffer): Promise<Response> {
  const body = JSON.stringify({ messages: [{ role: "user", content }] });
  return fetch(`${env.MODEL_URL}/v1/messages`, { method: "POST", body });
}

/** The least that a listed session takes: one row in D1. */
async function insertRow(db: D1Database, text: string): Promise<Response> {
  const insert = "INSERT INTO rows (id, text) VALUES (?, ?)";
  await db.prepare(insert).bind(crypto.randomUUID(), text).run();
  return new Response(null, { status: 201 });
}
