import * as z from "zod";
import { answerToolCalls } from "../client/answer-tool-calls.ts";
import type {
  CallOptions,
  ExecuteMessage,
  FileQuery,
  Gateway,
  LinkOptions,
  SessionQuery,
  UsageQuery,
} from "../client/gateway.ts";
import type { Model } from "../engine/ports.ts";
import { createModels, defaultModelOf, type ModelVariables } from "../models/models.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import { type GatewayVariables, parseGatewaySettings } from "../protocol/gateway-settings.ts";
import {
  type AnsweredInput,
  type Input,
  type InputLink,
  inputResponseBody,
  type TakenToolResult,
  type ToolResultBody,
  toolResultBody,
} from "../protocol/inputs.ts";
import { PAGE_DEFAULT, PAGE_MAX } from "../protocol/limits.ts";
import {
  type AcceptedTurn,
  type Cancelled,
  type CreateSessionBody,
  createSessionBody,
  type FileInfo,
  type FilePage,
  type Health,
  hasEnded,
  requireInput,
  type Session,
  type SessionPage,
  type SubmitTurnBody,
  submitTurnBody,
  type TurnResult,
} from "../protocol/rest.ts";
import type { Ticket, TicketBody } from "../protocol/tokens.ts";
import type { UsageReport } from "../protocol/usage.ts";
import { type Pauses, pauseAfter } from "../timing/pause-after.ts";
import { sleep } from "../timing/sleep.ts";
import { checkHealth } from "./check-health.ts";
import { DirectoryFiles } from "./directory-files.ts";
import { GatewayCalls } from "./gateway-calls.ts";
import { HeldSessions } from "./held-sessions.ts";
import type { LocalSession } from "./local-session.ts";
import { parseBody } from "./parse-body.ts";
import { holderOf } from "./session-claim.ts";
import { openDirectory } from "./session-directory.ts";
import { answerThroughDoor, cancelThroughDoor, followDoor, giveThroughDoor } from "./visit-door.ts";

export type InProcessOptions = {
  /** Where sessions and their files are kept; it is made when it is first needed. */
  home: string;
  models: ModelVariables;
  /** What is set for all sessions of this machine. */
  gateway?: GatewayVariables | undefined;
  /** What other processes are told of this one when it holds a session, such as `turnpike chat`. */
  holder: string;
};

/** Between tries to reach a session whose holder has just come, or is just going. */
const PAUSES: Pauses = { firstMs: 10, longestMs: 1_000 };

const fileQuery = z.strictObject({
  prefix: z.string().default(""),
  limit: z.int().min(1).max(PAGE_MAX).default(PAGE_DEFAULT),
  cursor: z.string().nullable().default(null),
});

/**
 * A gateway without a server: sessions live in this process, their databases and files below `home`. A session is held
 * by one process at a time, from its creation or its first turn there until `close`; others are told who holds it, and
 * can follow it.
 */
export class InProcessGateway implements Gateway {
  readonly #options: InProcessOptions;
  readonly #model: Model;
  readonly #calls = new GatewayCalls();
  #sessions: HeldSessions | null = null;

  constructor(options: InProcessOptions) {
    this.#options = options;
    this.#model = createModels(options.models);
  }

  /** The model of sessions that name none. */
  get defaultModel(): string {
    return defaultModelOf(this.#options.models);
  }

  /** `workspace_dir` may be the absolute path of any directory, or `sessions/<session_id>` to start with its files. */
  createSession(settings: CreateSessionBody = {}, options: CallOptions = {}): Promise<Session> {
    return this.#calls.one(options, async () => {
      const body = parseBody(createSessionBody, settings);
      const created = await this.#open().create(body, this.defaultModel);
      return created.describe();
    });
  }

  resumeSession(sessionId: string, options: CallOptions = {}): Promise<Session> {
    return this.#calls.one(options, async () => (await this.#open().look(sessionId)).view);
  }

  /** @throws `session_busy` where another process holds the session; the message says which */
  execute(sessionId: string, { tools, ...message }: ExecuteMessage, options: CallOptions = {}): AsyncIterable<Event> {
    return this.#calls.each(options, (signal) => {
      if (tools === undefined) return this.#execute(sessionId, message, signal);
      return answerToolCalls({
        tools,
        signal,
        open: (until) => this.#execute(sessionId, message, until),
        look: (until) => this.resumeSession(sessionId, { signal: until }),
        give: (id, result, until) => this.giveToolResult(sessionId, id, result, { signal: until }),
      });
    });
  }

  /**
   * Submits a message, and does not follow its turn. Another with the same key, be it after a kill, is no second message:
   * it gives the same answer.
   *
   * @throws `session_busy` as `execute`, `idempotency_key_reused`
   */
  submit(sessionId: string, message: SubmitTurnBody, key: string, options: CallOptions = {}): Promise<AcceptedTurn> {
    return this.#calls.one(options, async () => (await this.#submit(sessionId, message, key)).accepted);
  }

  runQuery(sessionId: string, message: SubmitTurnBody, options: CallOptions = {}): Promise<TurnResult> {
    return this.#calls.one(options, async (signal) => {
      const { held, accepted } = await this.#submit(sessionId, message, null);
      for await (const event of held.follow(accepted.cursor, signal)) {
        if (event.turn_id !== accepted.turn_id || !mayAnswer(event)) continue;
        const result = held.result(accepted.turn_id);
        // What it waited for in the past may have been answered.
        if (hasEnded(result.status) || result.status === "waiting") return result;
      }
      throw new Error("the events of a session ended");
    });
  }

  input(sessionId: string, inputId: string, options: CallOptions = {}): Promise<Input> {
    return this.#calls.one(options, () => this.#open().input(sessionId, inputId));
  }

  answer(sessionId: string, inputId: string, response: string, options: CallOptions = {}): Promise<AnsweredInput> {
    return this.#calls.one(options, async (signal) => {
      const asked = { input_id: inputId, ...parseBody(inputResponseBody, { response }) };
      return await this.#atHolder(sessionId, signal, {
        here: (held) => held.answer(asked.input_id, asked.response),
        there: (door) => answerThroughDoor(door, asked, signal),
      });
    });
  }

  giveToolResult(
    sessionId: string,
    toolUseId: string,
    result: ToolResultBody,
    options: CallOptions = {},
  ): Promise<TakenToolResult> {
    return this.#calls.one(options, async (signal) => {
      const given = parseBody(toolResultBody, result);
      return await this.#atHolder(sessionId, signal, {
        here: (held) => held.takeResult(toolUseId, given),
        there: (door) => giveThroughDoor(door, { ...given, tool_use_id: toolUseId }, signal),
      });
    });
  }

  /** @throws `unavailable`: nobody else can reach this gateway */
  mintLink(
    _sessionId: string,
    _inputId: string,
    _body: LinkOptions = {},
    options: CallOptions = {},
  ): Promise<InputLink> {
    return this.#calls.one(options, async () => {
      throw new GatewayError("unavailable", "A link needs a gateway that others can reach.");
    });
  }

  /** @throws `unavailable`: nobody else can reach this gateway */
  createTicket(_sessionId: string, _body: TicketBody = {}, options: CallOptions = {}): Promise<Ticket> {
    return this.#calls.one(options, async () => {
      throw new GatewayError("unavailable", "A ticket needs a gateway that others can reach.");
    });
  }

  cancelTurn(sessionId: string, turnId: string, options: CallOptions = {}): Promise<void> {
    return this.#calls.one(options, async () => (await this.#open().hold(sessionId)).cancelTurn(turnId));
  }

  cancel(sessionId: string, options: CallOptions = {}): Promise<Cancelled> {
    return this.#calls.one(options, (signal) =>
      this.#atHolder(sessionId, signal, {
        here: (held) => held.cancel(),
        there: (door) => cancelThroughDoor(door, signal),
      }),
    );
  }

  /** Where another process holds the session, it is followed; when that process goes, this one takes the session. */
  events(sessionId: string, after: string, options: CallOptions = {}): AsyncIterable<Event> {
    return this.#calls.each(options, (signal) => this.#events(sessionId, after, signal));
  }

  /** A directory that was named for the session stays as it is. */
  deleteSession(sessionId: string, options: CallOptions = {}): Promise<void> {
    return this.#calls.one(options, () => this.#open().delete(sessionId));
  }

  listFiles(sessionId: string, query: FileQuery = {}, options: CallOptions = {}): Promise<FilePage> {
    return this.#calls.one(options, async () => {
      const page = parseBody(fileQuery, query);
      return (await this.#filesOf(sessionId)).list(page);
    });
  }

  readFile(sessionId: string, path: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#calls.one(options, async () => (await this.#filesOf(sessionId)).read(path));
  }

  writeFile(sessionId: string, path: string, bytes: Uint8Array, options: CallOptions = {}): Promise<FileInfo> {
    return this.#calls.one(options, async () => (await this.#open().hold(sessionId)).putFile(path, bytes));
  }

  listSessions(query: SessionQuery = {}, options: CallOptions = {}): Promise<SessionPage> {
    return this.#calls.one(options, async () => this.#open().index.list(query));
  }

  usage(query: UsageQuery = {}, options: CallOptions = {}): Promise<UsageReport> {
    return this.#calls.one(options, async () => this.#open().index.usage(query));
  }

  health(options: CallOptions = {}): Promise<Health> {
    return this.#calls.one(options, async () => checkHealth(() => this.#open(), this.defaultModel));
  }

  /** The other process that holds a session, such as `process 17 (turnpike chat)`; null where none does. */
  holderOf(sessionId: string): string | null {
    const held = holderOf(this.#open().home.stateOf(sessionId));
    if (held === null || held.by?.pid === process.pid) return null;
    return held.by === null ? "another process" : `process ${held.by.pid} (${held.by.holder})`;
  }

  /** Gives its sessions back. A turn that runs stops here, and goes on when its session is opened again. */
  async close(): Promise<void> {
    const closed = new GatewayError("unavailable", "The gateway was closed.");
    this.#calls.close(closed);
    await this.#sessions?.close(closed);
  }

  /** Does something where the session is held: here, or else through its holder's door, which gives null if it has gone. */
  async #atHolder<T>(
    sessionId: string,
    signal: AbortSignal,
    { here, there }: { here(held: LocalSession): T | Promise<T>; there(door: string): Promise<T | null> },
  ): Promise<T> {
    for (let failures = 0; ; failures++) {
      const held = await this.#open().holdUnlessBusy(sessionId);
      if (held !== null) return await here(held);
      const done = await there(this.#open().home.doorOf(sessionId));
      if (done !== null) return done;
      await sleep(pauseAfter(failures, PAUSES), signal);
    }
  }

  async #submit(sessionId: string, message: SubmitTurnBody, key: string | null) {
    const body = parseBody(submitTurnBody, message);
    // Before the session is taken, which makes what was interrupted go on.
    requireInput(body);
    const held = await this.#open().hold(sessionId);
    return { held, accepted: held.submit(body, key) };
  }

  async *#execute(sessionId: string, message: SubmitTurnBody, signal: AbortSignal): AsyncGenerator<Event> {
    const { held, accepted } = await this.#submit(sessionId, message, null);
    const { turn_id, cursor } = accepted;
    for await (const event of held.follow(cursor, signal)) {
      if (event.turn_id !== turn_id) continue;
      yield event;
      if (event.type === "ITERATION_END") return;
    }
  }

  async *#events(sessionId: string, after: string, signal: AbortSignal): AsyncGenerator<Event> {
    let cursor = after;
    for (let failures = 0; ; failures++) {
      const held = await this.#open().holdUnlessBusy(sessionId);
      const door = this.#open().home.doorOf(sessionId);
      for await (const event of held?.follow(cursor, signal) ?? followDoor(door, cursor, signal)) {
        cursor = event.cursor;
        failures = 0;
        yield event;
      }
      await sleep(pauseAfter(failures, PAUSES), signal);
    }
  }

  async #filesOf(sessionId: string): Promise<DirectoryFiles> {
    const { home } = this.#open();
    const { settings } = await this.#open().look(sessionId);
    return new DirectoryFiles(openDirectory(home, settings));
  }

  #open(): HeldSessions {
    this.#calls.throwIfClosed();
    const { home, holder, gateway = {} } = this.#options;
    this.#sessions ??= HeldSessions.open(home, { model: this.#model, holder, gateway: parseGatewaySettings(gateway) });
    return this.#sessions;
  }
}

/** Whether a query may have its answer at this event of its turn. */
function mayAnswer({ type, data }: Event): boolean {
  return type === "ITERATION_END" || (type === "STATUS" && data.status === "waiting");
}
