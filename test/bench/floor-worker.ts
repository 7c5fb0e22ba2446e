/**
 * The least that a gateway on this platform does, to hold ours against: a Worker that passes the model's stream on, an
 * object that broadcasts it, each piece as it comes. Nothing is checked, stored or resumed.
 */
import { DurableObject } from "cloudflare:workers";

type Env = { MODEL_URL: string; BROADCASTER: DurableObjectNamespace<Broadcaster> };

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

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/pass-through") return askModel(env, await request.text());
    return env.BROADCASTER.getByName(pathname).fetch(request);
  },
};

/** @param content the message that the model gets */
function askModel(env: Env, content: string | ArrayBuffer): Promise<Response> {
  const body = JSON.stringify({ messages: [{ role: "user", content }] });
  return fetch(`${env.MODEL_URL}/v1/messages`, { method: "POST", body });
}
