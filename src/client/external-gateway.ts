import { type ErrorCode, GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import {
  type AnsweredInput,
  answeredInput,
  type Input,
  type InputLink,
  input,
  inputLink,
  type TakenToolResult,
  type ToolResultBody,
  takenToolResult,
} from "../protocol/inputs.ts";
import { FILE_MAX_BYTES } from "../protocol/limits.ts";
import {
  type AcceptedTurn,
  acceptedTurn,
  type Cancelled,
  type CreateSessionBody,
  cancelled,
  type FileInfo,
  type FilePage,
  fileInfo,
  filePage,
  type Health,
  health,
  type Session,
  type SessionPage,
  type SubmitTurnBody,
  session,
  sessionPage,
  type TurnResult,
  turnResult,
} from "../protocol/rest.ts";
import { toHex } from "../protocol/sha256.ts";
import { type Ticket, type TicketBody, ticket } from "../protocol/tokens.ts";
import { type UsageReport, usageReport } from "../protocol/usage.ts";
import { answerToolCalls } from "./answer-tool-calls.ts";
import { filePath, inputPath, sessionPath, toolResultPath, turnPath } from "./api-paths.ts";
import { PING_EVERY_MS } from "./connection.ts";
import { executeTurn } from "./execute-turn.ts";
import { followEvents, GIVE_UP_AFTER_MS, type StreamSource } from "./follow-frames.ts";
import type {
  CallOptions,
  ExecuteMessage,
  FileQuery,
  Gateway,
  LinkOptions,
  SessionQuery,
  UsageQuery,
} from "./gateway.ts";
import { HttpClient, readAnswer, readBytes, readError } from "./http.ts";
import { insist } from "./insist.ts";
import type { ExternalGatewayOptions, SocketConstructor, TicketSource } from "./options.ts";
import { streamOf } from "./session-stream.ts";

/** One request waits this long for a turn before it asks again: proxies cut requests that are quiet for a minute. */
const WAIT_SECONDS = 30;
/** A result of a client's tool takes a while on a slow line: this many pings of a quiet connection. */
const LOST_AFTER_PINGS = 4;
/** After these the results of a client's tools are given again. */
const NOT_NOW: readonly ErrorCode[] = ["unavailable", "rate_limited"];

/** A gateway reached over the network: REST for questions, a WebSocket to watch a turn. */
export class ExternalGateway implements Gateway {
  readonly #http: HttpClient;
  readonly #WebSocket: SocketConstructor | undefined;
  readonly #ticket: TicketSource | undefined;
  readonly #giveUpAfterMs: number;
  readonly #pingEveryMs: number | undefined;
  readonly #closing = new AbortController();

  constructor(options: ExternalGatewayOptions) {
    this.#http = new HttpClient(options.baseUrl, options.token, options.fetch);
    this.#WebSocket = options.WebSocket;
    this.#ticket = options.ticket;
    this.#giveUpAfterMs = options.giveUpAfterMs ?? GIVE_UP_AFTER_MS;
    this.#pingEveryMs = options.pingEveryMs;
  }

  async createSession(settings: CreateSessionBody = {}, options: CallOptions = {}): Promise<Session> {
    return await this.#http.call(session, {
      method: "POST",
      path: "/sessions",
      body: settings,
      signal: this.#signal(options),
    });
  }

  async resumeSession(sessionId: string, options: CallOptions = {}): Promise<Session> {
    return await this.#http.call(session, {
      method: "GET",
      path: sessionPath(sessionId),
      signal: this.#signal(options),
    });
  }

  execute(sessionId: string, { tools, ...message }: ExecuteMessage, options: CallOptions = {}): AsyncGenerator<Event> {
    if (tools === undefined) return this.#execute(sessionId, message, options);
    return answerToolCalls({
      tools,
      signal: this.#signal(options),
      open: (signal) => this.#execute(sessionId, message, { signal }),
      look: (signal) => this.#persist(signal, (once) => this.resumeSession(sessionId, once)),
      give: (id, result, signal) => this.#persist(signal, (once) => this.#giveOnce(sessionId, id, result, once)),
    });
  }

  #execute(sessionId: string, message: SubmitTurnBody, options: CallOptions): AsyncGenerator<Event> {
    if (message.on_busy === "steer") return this.#steer(sessionId, message, options);
    const signal = this.#signal(options);
    const stream = { signal, giveUpAfterMs: this.#giveUpAfterMs };
    return executeTurn(this.#source(sessionId, signal), { ...message, idempotency_key: newKey() }, stream);
  }

  /** All events of a session after a cursor (from its start: `"0"`), then live, until it is left or aborted. */
  events(sessionId: string, after: string, options: CallOptions = {}): AsyncIterable<Event> {
    const signal = this.#signal(options);
    return followEvents(this.#source(sessionId, signal), { after, signal, giveUpAfterMs: this.#giveUpAfterMs });
  }

  async runQuery(sessionId: string, message: SubmitTurnBody, options: CallOptions = {}): Promise<TurnResult> {
    const request = { ...this.#submission(sessionId, message, options), query: { wait: WAIT_SECONDS } };
    return await this.#insist(request.signal, async () => {
      const response = await this.#http.send(request);
      if (!response.ok) throw await readError(response);
      if (response.status !== 202) return await readAnswer(turnResult, response);
      await readAnswer(acceptedTurn, response);
      return null;
    });
  }

  async input(sessionId: string, inputId: string, options: CallOptions = {}): Promise<Input> {
    const path = inputPath(sessionId, inputId);
    const request = { method: "GET" as const, path, signal: this.#signal(options) };
    return await this.#insist(request.signal, () => this.#http.call(input, request));
  }

  async answer(
    sessionId: string,
    inputId: string,
    response: string,
    options: CallOptions = {},
  ): Promise<AnsweredInput> {
    const path = inputPath(sessionId, inputId);
    const request = { method: "POST" as const, path, body: { response }, signal: this.#signal(options) };
    // The same answer twice is one.
    return await this.#insist(request.signal, () => this.#http.call(answeredInput, request));
  }

  async giveToolResult(
    sessionId: string,
    toolUseId: string,
    result: ToolResultBody,
    options: CallOptions = {},
  ): Promise<TakenToolResult> {
    const signal = this.#signal(options);
    return await this.#insist(signal, () => this.#giveOnce(sessionId, toolUseId, result, { signal }));
  }

  async #giveOnce(
    sessionId: string,
    toolUseId: string,
    result: ToolResultBody,
    options: CallOptions,
  ): Promise<TakenToolResult> {
    const path = toolResultPath(sessionId, toolUseId);
    const request = { method: "POST" as const, path, body: result, signal: this.#signal(options) };
    return await this.#http.call(takenToolResult, request);
  }

  async mintLink(
    sessionId: string,
    inputId: string,
    body: LinkOptions = {},
    options: CallOptions = {},
  ): Promise<InputLink> {
    const path = `${inputPath(sessionId, inputId)}/link`;
    return await this.#http.call(inputLink, { method: "POST", path, body, signal: this.#signal(options) });
  }

  async createTicket(sessionId: string, body: TicketBody = {}, options: CallOptions = {}): Promise<Ticket> {
    const path = `${sessionPath(sessionId)}/tickets`;
    return await this.#http.call(ticket, { method: "POST", path, body, signal: this.#signal(options) });
  }

  async cancelTurn(sessionId: string, turnId: string, options: CallOptions = {}): Promise<void> {
    const signal = this.#signal(options);
    const withdrawn = await this.#http.send({
      method: "DELETE",
      path: turnPath(sessionId, turnId),
      signal,
    });
    if (withdrawn.ok) return await withdrawn.body?.cancel();
    const error = await readError(withdrawn);
    if (error.code === "not_found") {
      // The turn has ended, or there is no session.
      await this.resumeSession(sessionId, options);
      return;
    }
    if (error.code !== "session_busy") throw error;
    await this.#http.call(cancelled, {
      method: "POST",
      path: `${sessionPath(sessionId)}/cancel`,
      body: { turn_id: turnId },
      signal,
    });
  }

  async cancel(sessionId: string, options: CallOptions = {}): Promise<Cancelled> {
    const path = `${sessionPath(sessionId)}/cancel`;
    return await this.#http.call(cancelled, { method: "POST", path, signal: this.#signal(options) });
  }

  async deleteSession(sessionId: string, options: CallOptions = {}): Promise<void> {
    const request = { method: "DELETE" as const, path: sessionPath(sessionId), signal: this.#signal(options) };
    const response = await this.#http.send(request);
    if (!response.ok) throw await readError(response);
    await response.body?.cancel();
  }

  async listFiles(sessionId: string, query: FileQuery = {}, options: CallOptions = {}): Promise<FilePage> {
    const path = `${sessionPath(sessionId)}/files`;
    return await this.#http.call(filePage, { method: "GET", path, query, signal: this.#signal(options) });
  }

  async readFile(sessionId: string, path: string, options: CallOptions = {}): Promise<Uint8Array> {
    const request = { method: "GET" as const, path: filePath(sessionId, path), signal: this.#signal(options) };
    const response = await this.#http.send({ ...request, headers: { accept: "*/*" } });
    if (!response.ok) throw await readError(response);
    return await readBytes(response);
  }

  async writeFile(sessionId: string, path: string, bytes: Uint8Array, options: CallOptions = {}): Promise<FileInfo> {
    // A gateway refuses it before it was sent, and then a connection that breaks may be all that is seen of that.
    if (bytes.byteLength > FILE_MAX_BYTES) {
      throw new GatewayError("too_large", `A file may have at most ${FILE_MAX_BYTES} bytes.`);
    }
    return await this.#http.call(fileInfo, {
      method: "PUT",
      path: filePath(sessionId, path),
      body: bytes,
      signal: this.#signal(options),
    });
  }

  async listSessions(query: SessionQuery = {}, options: CallOptions = {}): Promise<SessionPage> {
    return await this.#http.call(sessionPage, {
      method: "GET",
      path: "/sessions",
      query,
      signal: this.#signal(options),
    });
  }

  async usage(query: UsageQuery = {}, options: CallOptions = {}): Promise<UsageReport> {
    return await this.#http.call(usageReport, { method: "GET", path: "/usage", query, signal: this.#signal(options) });
  }

  async health(options: CallOptions = {}): Promise<Health> {
    const response = await this.#http.send({ method: "GET", path: "/health", signal: this.#signal(options) });
    if (!response.ok && response.status !== 503) throw await readError(response);
    return await readAnswer(health, response);
  }

  async close(): Promise<void> {
    this.#closing.abort(new GatewayError("unavailable", "The client was closed."));
  }

  /** The events of the turn that a message joins, which began before: those too that came before the message. */
  async *#steer(sessionId: string, message: SubmitTurnBody, options: CallOptions): AsyncGenerator<Event> {
    const request = this.#submission(sessionId, message, options);
    const accepted = await this.#insist<AcceptedTurn>(request.signal, () => this.#http.call(acceptedTurn, request));
    for await (const event of this.events(sessionId, accepted.cursor, options)) {
      if (event.turn_id !== accepted.turn_id) continue;
      yield event;
      if (event.type === "ITERATION_END") return;
    }
  }

  /** Submits a message. It has a key, with which every repeat gets the turn of the first request. */
  #submission(sessionId: string, message: SubmitTurnBody, options: CallOptions) {
    return {
      method: "POST" as const,
      path: `${sessionPath(sessionId)}/turns`,
      body: message,
      headers: { "idempotency-key": newKey() },
      signal: this.#signal(options),
    };
  }

  async #insist<T>(signal: AbortSignal, ask: () => Promise<T | null>): Promise<T> {
    return await insist({ signal, giveUpAfterMs: this.#giveUpAfterMs }, ask);
  }

  /** For what the events of a turn depend on, whose connection may be well while this one is not. */
  async #persist<T>(signal: AbortSignal, ask: (options: CallOptions) => Promise<T>): Promise<T> {
    const lostAfterMs = LOST_AFTER_PINGS * (this.#pingEveryMs ?? PING_EVERY_MS);
    const options = { signal, giveUpAfterMs: this.#giveUpAfterMs, lostAfterMs, after: NOT_NOW };
    return await insist(options, (once) => ask({ signal: once }));
  }

  #signal({ signal }: CallOptions): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal]);
  }

  #source(sessionId: string, signal: AbortSignal): StreamSource {
    const options = { WebSocket: this.#WebSocket, pingEveryMs: this.#pingEveryMs, ticket: this.#ticket };
    return streamOf(this.#http, sessionId, options, signal);
  }
}

/** 128 random bits. Not `randomUUID`, which browsers offer only on secure pages. */
function newKey(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
