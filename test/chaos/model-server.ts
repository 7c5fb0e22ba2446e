import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text as readText } from "node:stream/consumers";
import { setImmediate as nextLoop, setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { contentBlock, type Message, streamEvent } from "../../src/engine/messages.ts";
import { ModelError } from "../../src/engine/ports.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import { requestFaults } from "../support/request-faults.ts";
import { FAULT_KINDS, type Fault, type FaultKind, planFaults } from "./fault-plan.ts";

export type ModelServerOptions = {
  seed: number;
  /** The share of model calls, from 0 to 1, that meet faults. */
  share: number;
  /** A stall ends after this time, as a cut; the gateway's own deadlines are far longer. */
  stallMs?: number;
  kinds?: readonly FaultKind[];
};

const messagesRequest = z.looseObject({
  model: z.string(),
  max_tokens: z.int(),
  stream: z.literal(true),
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), content: z.array(contentBlock) })),
});

/** An answer under way; the signal says that whoever asked has gone. */
type Sending = { response: ServerResponse; gone: AbortSignal };

/**
 * The demo model as a server outside: it speaks the Messages API's stream, in the demo's own time, and meets some calls
 * with faults. Like the demo it keeps no transcript. A call is known by its content alone, so a schedule is repeated by
 * its seed; sessions whose messages are equal share one schedule, which still ends after as many faults.
 *
 * A transcript that the API would refuse is answered with 400, and kept in `refusals`; one that ends with a message of
 * the model's too, so no script may stop with pause_turn.
 */
export class ModelServer implements AsyncDisposable {
  /** How often each kind of fault was met. */
  readonly injected = new Map<FaultKind, number>(FAULT_KINDS.map((kind) => [kind, 0]));
  /** What was wrong with the requests; empty as long as the gateway keeps to the API. */
  readonly refusals: string[] = [];
  /** Requests that came, and of these the messages that were sent to their end. */
  requests = 0;
  completed = 0;
  /** How often it was gone for a time. */
  outages = 0;
  readonly #options: ModelServerOptions;
  readonly #model = createDemoModel();
  readonly #seen = new Map<string, number>();
  readonly #open = new Set<ServerResponse>();
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.destroy(error));
  });
  #port = 0;
  #outage: Promise<void> = Promise.resolve();

  private constructor(options: ModelServerOptions) {
    this.#options = options;
  }

  static async start(options: ModelServerOptions): Promise<ModelServer> {
    const server = new ModelServer(options);
    await server.#listen();
    return server;
  }

  /** What `ANTHROPIC_BASE_URL` is to be. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Requests that are being answered, or are being kept waiting. */
  get open(): number {
    return this.#open.size;
  }

  /** Resolves once no request is open any more: whoever asked has taken its answer, or has gone. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await Promise.all([...this.#open].map((response) => once(response, "close")));
  }

  /** What was injected, for people. */
  get report(): string {
    return [...this.injected].map(([kind, times]) => `${kind} ${times}`).join(", ");
  }

  /**
   * Refuses all new connections for a time, as a server does that is being restarted; streams go on. Each call that
   * comes meanwhile loses an attempt for each of its tries.
   */
  async outage(ms: number): Promise<void> {
    // It may listen again before it is closed, for which it would wait until nothing streams.
    this.outages++;
    this.#server.close();
    this.#outage = pause(ms).then(() => this.#listen());
    await this.#outage;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outage;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port.");
    this.#port = address.port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    this.#open.add(response);
    response.once("close", () => {
      this.#open.delete(response);
      gone.abort();
    });
    const parsed = messagesRequest.safeParse(parseJson(await readText(request)));
    this.requests++;
    if (request.url !== "/v1/messages" || !parsed.success) return this.#refuse(response, "no request for a message");
    const { model, messages } = parsed.data;
    const [wrong] = transcriptFaults(messages);
    if (wrong !== undefined) return this.#refuse(response, wrong);

    const key = createHash("sha256")
      .update(JSON.stringify([model, messages]))
      .digest("hex");
    const times = this.#seen.get(key) ?? 0;
    this.#seen.set(key, times + 1);
    const fault = planFaults(this.#options.seed, this.#options.share, key, this.#options.kinds)[times] ?? null;
    const sending = { response, gone: gone.signal };
    if (fault !== null && (await this.#failAtOnce(fault, sending))) return;
    await this.#stream({ model, messages, attempt: times + 1 }, fault, sending);
  }

  #refuse(response: ServerResponse, wrong: string): void {
    this.refusals.push(wrong);
    sendError(response, 400, "invalid_request_error", wrong);
  }

  /** Whether the fault is one that comes before the stream. */
  async #failAtOnce({ kind }: Fault, { response, gone }: Sending): Promise<boolean> {
    switch (kind) {
      case "429":
        this.#count(kind);
        sendError(response, 429, "rate_limit_error", "Slow down.", { "retry-after": "1" });
        return true;
      case "529":
        this.#count(kind);
        sendError(response, 529, "overloaded_error", "Overloaded");
        return true;
      case "500":
        this.#count(kind);
        sendError(response, 500, "api_error", "Internal server error");
        return true;
      case "refused":
        this.#count(kind);
        response.socket?.resetAndDestroy();
        return true;
      case "stalled headers":
        this.#count(kind);
        await this.#stall(response, gone);
        return true;
      default:
        return false;
    }
  }

  async #stream(
    { model, messages, attempt }: { model: string; messages: Message[]; attempt: number },
    fault: Fault | null,
    { response, gone }: Sending,
  ): Promise<void> {
    const request = { model, messages, system: null, tools: [], max_tokens: 0, thinking: true };
    let ahead = fault;
    let sent = 0;
    try {
      for await (const raw of this.#model.stream(request, { signal: gone, attempt })) {
        const event = streamEvent.parse(raw);
        // A short message meets its fault just before its end.
        if (ahead !== null && (sent >= ahead.after || event.type === "message_stop")) {
          if (await this.#failHere(ahead.kind, { response, gone })) return;
          ahead = null;
        }
        await write(response, event);
        sent++;
      }
      // The script may have the stream break off; the server ends it in order then too.
      this.completed++;
      response.end();
    } catch (thrown) {
      if (gone.aborted) return;
      if (!(thrown instanceof ModelError)) throw thrown;
      if (!response.headersSent) return sendError(response, thrown.status ?? 500, thrown.code, thrown.message);
      await write(response, { type: "error", error: { type: thrown.code, message: thrown.message } });
      response.end();
    }
  }

  /** Whether the fault ended the stream. */
  async #failHere(kind: FaultKind, { response, gone }: Sending): Promise<boolean> {
    this.#count(kind);
    switch (kind) {
      case "reset":
        response.socket?.resetAndDestroy();
        return true;
      case "cut":
        response.destroy();
        return true;
      case "stalled body":
        await this.#stall(response, gone);
        return true;
      case "broken json":
        await writeBytes(response, 'event: content_block_delta\ndata: {"type":"content_block_de\n\n');
        return this.#end(response);
      case "wrong order":
        await write(response, { type: "content_block_stop", index: 999 });
        return this.#end(response);
      case "error event":
        await write(response, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
        return this.#end(response);
      case "early end":
        return this.#end(response);
      default:
        for (const event of NOISE) await write(response, event);
        return false;
    }
  }

  #end(response: ServerResponse): true {
    response.end();
    return true;
  }

  async #stall(response: ServerResponse, gone: AbortSignal): Promise<void> {
    await pause(this.#options.stallMs ?? 2_000, undefined, { signal: gone }).catch(() => {});
    response.socket?.resetAndDestroy();
  }

  #count(kind: FaultKind): void {
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
  }
}

/** What every client of the API has to pass over (https://docs.claude.com/en/api/versioning). */
const NOISE = [{ type: "ping" }, { type: "weather_report", wind: ["north"], index: 0 }, { type: "ping", extra: null }];

const EVENT_STREAM = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/** The API's own rules, and that a text of the model's is never sent back for it to go on with. */
function transcriptFaults(messages: Message[]): string[] {
  const prefill = messages.at(-1)?.role === "assistant" ? ["the last message is the model's"] : [];
  return [...requestFaults(messages), ...prefill];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sendError(
  response: ServerResponse,
  status: number,
  type: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify({ type: "error", error: { type, message } }));
}

function write(response: ServerResponse, event: { type: string; [field: string]: unknown }): Promise<void> {
  return writeBytes(response, `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** Writes by itself what is one event, as a model does that makes up its mind word by word. */
async function writeBytes(response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed) return;
  if (!response.headersSent) response.writeHead(200, EVENT_STREAM);
  await new Promise<void>((resolve) => response.write(text, () => resolve()));
  await nextLoop();
}
