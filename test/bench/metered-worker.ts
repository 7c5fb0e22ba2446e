/**
 * The Worker as it is deployed, which counts what Cloudflare would bill. GET /meter tells it, DELETE /meter begins anew;
 * POST /meter/{session_id} has that session's alarm go off now, if one is set. The Worker and its objects share their
 * modules here, as they do where one machine runs both.
 */
import { env } from "cloudflare:workers";
import deployed from "../../src/index.ts";
import { writeLinesTo, writeToConsole } from "../../src/logging/log.ts";
import { SessionObject as Deployed } from "../../src/session/session-object.ts";
import { countBindings, countStorage } from "../workers/operations-meter.ts";
import { noCounts } from "./counts.ts";

const METER = "/meter";
const RING = "/ring";

const counts = noCounts();
countBindings(env, counts);

writeLinesTo((line) => {
  if (line.level !== "info") writeToConsole(line);
});

export class SessionObject extends Deployed {
  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    countStorage(state.storage, counts);
    super(state, env);
  }

  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === RING) return this.#ring();
    counts.objectRequests++;
    return super.fetch(request);
  }

  async #ring(): Promise<Response> {
    const isSet = (await this.ctx.storage.getAlarm()) !== null;
    if (isSet) {
      await this.ctx.storage.deleteAlarm();
      await this.alarm();
    }
    return new Response(null, { status: 204 });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    counts.socketMessages++;
    return super.webSocketMessage(socket, message);
  }

  override alarm(): Promise<void> {
    counts.alarms++;
    return super.alarm();
  }
}

/** What the platform calls by itself; the rest is called by the Worker and by other objects. */
const HANDLERS = ["constructor", "fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"];

for (const name of Object.getOwnPropertyNames(Deployed.prototype)) {
  const method: unknown = Reflect.get(Deployed.prototype, name);
  if (typeof method !== "function" || HANDLERS.includes(name)) continue;
  const counted = new Proxy(method, {
    apply(target, self, args) {
      counts.objectRequests++;
      return Reflect.apply(target, self, args);
    },
  });
  Object.defineProperty(SessionObject.prototype, name, { value: counted });
}

export default {
  async fetch(request, env, context) {
    const { origin, pathname } = new URL(request.url);
    if (!pathname.startsWith(METER)) {
      counts.workerRequests++;
      return deployed.fetch(request, env, context);
    }
    if (request.method === "POST")
      return env.SESSIONS.getByName(pathname.slice(METER.length + 1)).fetch(`${origin}${RING}`);
    if (request.method === "DELETE") Object.assign(counts, noCounts());
    return Response.json(counts);
  },
} satisfies ExportedHandler<Cloudflare.Env>;
