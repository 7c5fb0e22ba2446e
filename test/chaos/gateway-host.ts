import { rmSync } from "node:fs";
import { join } from "node:path";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { HttpClient } from "../../src/client/http.ts";
import { GatewayError, notFound } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { API_BASE } from "../../src/protocol/paths.ts";
import {
  type AcceptedTurn,
  acceptedTurn,
  type Cancelled,
  type CreateSessionBody,
  eventPage,
  type Session,
  type SubmitTurnBody,
  session,
} from "../../src/protocol/rest.ts";
import { freePort } from "../support/free-port.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { RunningProcess } from "../support/run-process.ts";
import { GatewayStore } from "./gateway-store.ts";
import { SseWatcher, WebSocketWatcher } from "./gateway-watchers.ts";
import type { ChaosHost, Remains, Reply, Watcher } from "./host.ts";
import { seeded } from "./random.ts";
import { replyByFrame } from "./reply-by-frame.ts";

const TOKEN = "chaos-token";
const COMES_AND_GOES = " that comes and goes";

export type GatewayHostOptions = {
  /** Holds all that is stored; removed at the end unless it is to be kept. */
  folder: string;
  /** The files of the built Worker. */
  modules: string[];
  /** A server of the Messages API for sessions with another model than the demo. */
  modelUrl: string | null;
};

/** The gateway as Cloudflare's runtime runs it, in a process group that can be killed. */
export class GatewayHost implements ChaosHost {
  readonly name = "gateway";
  readonly ways = ["websocket", "sse", `websocket${COMES_AND_GOES}`, `sse${COMES_AND_GOES}`];
  readonly replyWays = ["rest", "frame"] as const;
  readonly #options: GatewayHostOptions;
  readonly #state: string;
  readonly #store: GatewayStore;
  readonly #port: number;
  readonly #http: HttpClient;
  readonly #gateway: ExternalGateway;
  #process: RunningProcess | null = null;
  #migrated = false;
  #watchers = 0;

  static async create(options: GatewayHostOptions): Promise<GatewayHost> {
    return new GatewayHost(options, await freePort());
  }

  private constructor(options: GatewayHostOptions, port: number) {
    this.#options = options;
    this.#state = join(options.folder, "state");
    this.#store = new GatewayStore(this.#state);
    this.#port = port;
    this.#http = new HttpClient(this.#url, TOKEN);
    this.#gateway = new ExternalGateway({ baseUrl: this.#url, token: TOKEN });
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const { modules, modelUrl } = this.#options;
    const options = {
      modules,
      state: this.#state,
      port: this.#port,
      variables: {
        GATEWAY_TOKEN: TOKEN,
        GATEWAY_MODEL: "demo",
        ...(modelUrl === null ? {} : { ANTHROPIC_BASE_URL: modelUrl, ANTHROPIC_API_KEY: "chaos-key" }),
      },
      migrations: this.#migrated ? null : join(PROJECT_ROOT, "migrations"),
    };
    const program = join(PROJECT_ROOT, "test/chaos/gateway-process.ts");
    const running = new RunningProcess(process.execPath, [program, JSON.stringify(options)], { cwd: PROJECT_ROOT });
    this.#process = running;
    await running.printed(({ stdout }) => /^ready$/m.test(stdout));
    this.#migrated = true;
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null) return;
    await running.killGroup("SIGKILL");
    await running.assertGroupEnded();
  }

  /** What the running process has printed. */
  get printed(): string {
    return this.#process === null ? "" : `${this.#process.stdout}${this.#process.stderr}`;
  }

  remains(sessionId: string): Remains {
    return this.#store.remains(sessionId);
  }

  leftBehind(kept: readonly string[], removed: readonly string[]): string[] {
    return this.#store.leftBehind(kept, removed);
  }

  /** Between a kill and a start. */
  get store(): GatewayStore {
    return this.#store;
  }

  createSession(body: CreateSessionBody, key: string): Promise<Session> {
    const headers = { "idempotency-key": key };
    return this.#http.call(session, { method: "POST", path: "/sessions", body, headers });
  }

  async describe(sessionId: string): Promise<Session | null> {
    try {
      return await this.#gateway.resumeSession(sessionId);
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === "not_found") return null;
      throw thrown;
    }
  }

  submit(sessionId: string, body: SubmitTurnBody, key: string): Promise<AcceptedTurn> {
    const headers = { "idempotency-key": key };
    return this.#http.call(acceptedTurn, { method: "POST", path: `/sessions/${sessionId}/turns`, body, headers });
  }

  cancel(sessionId: string): Promise<Cancelled> {
    return this.#gateway.cancel(sessionId);
  }

  async cancelTurn(sessionId: string, turnId: string): Promise<boolean> {
    const response = await this.#http.send({ method: "DELETE", path: `/sessions/${sessionId}/turns/${turnId}` });
    await response.body?.cancel();
    // The client does not tell whether the turn waited, and knows what else there is to do.
    if (!response.ok) await this.#gateway.cancelTurn(sessionId, turnId);
    return response.ok;
  }

  async reply(sessionId: string, reply: Reply, how: string): Promise<void> {
    if (how === "frame") await this.#replyByFrame(sessionId, reply);
    else if ("input_id" in reply) await this.#gateway.answer(sessionId, reply.input_id, reply.response);
    else {
      const { tool_use_id, ...result } = reply;
      await this.#gateway.giveToolResult(sessionId, tool_use_id, result);
    }
  }

  deleteSession(sessionId: string): Promise<void> {
    return this.#gateway.deleteSession(sessionId);
  }

  async log(sessionId: string): Promise<Event[]> {
    const events: Event[] = [];
    let after: string | null = "0";
    while (after !== null) {
      const query = { after, limit: 1_000 };
      const page: { events: Event[]; next_cursor: string | null } = await this.#http.call(eventPage, {
        method: "GET",
        path: `/sessions/${sessionId}/events`,
        query,
      });
      events.push(...page.events);
      after = page.next_cursor;
    }
    return events;
  }

  async files(sessionId: string): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    let cursor: string | null = null;
    do {
      const page = await this.#gateway.listFiles(sessionId, { limit: 200, ...(cursor === null ? {} : { cursor }) });
      for (const { path } of page.files) files.set(path, await this.#gateway.readFile(sessionId, path));
      cursor = page.next_cursor;
    } while (cursor !== null);
    return files;
  }

  watch(sessionId: string, how: string): Watcher {
    const random = seeded("leaving", this.#watchers++);
    const leaving = { afterFrames: () => random.int(20, 400), forMs: () => random.int(50, 900) };
    const options = {
      url: () => this.#url,
      token: TOKEN,
      sessionId,
      ...(how.endsWith(COMES_AND_GOES) ? { leaving } : {}),
    };
    return how.startsWith("sse") ? new SseWatcher(options) : new WebSocketWatcher(options);
  }

  async #replyByFrame(sessionId: string, reply: Reply): Promise<void> {
    try {
      await replyByFrame(`${this.#url}${API_BASE}/sessions/${sessionId}/stream`, TOKEN, reply);
    } catch (thrown) {
      // A handshake that fails does not say why.
      const broke = thrown instanceof GatewayError && thrown.code === "unavailable";
      if (broke && (await this.describe(sessionId)) === null) throw notFound();
      throw thrown;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gateway.close();
    await this.kill();
    rmSync(this.#options.folder, { recursive: true, force: true });
  }
}
