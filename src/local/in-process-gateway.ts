import type { CallOptions, FileQuery, Gateway, SessionQuery } from "../client/gateway.ts";
import type { ModelVariables } from "../models/models.ts";
import { defaultModelOf } from "../models/models.ts";
import type { Event } from "../protocol/events.ts";
import type {
  Cancelled,
  CreateSessionBody,
  FileInfo,
  FilePage,
  Health,
  Session,
  SessionPage,
  SubmitTurnBody,
  TurnResult,
} from "../protocol/rest.ts";

export type InProcessOptions = {
  /** Where sessions and their files are kept; it is made when it is first needed. */
  home: string;
  models: ModelVariables;
  /** What other processes are told of this one when it holds a session, such as `turnpike chat`. */
  holder: string;
};

/**
 * A gateway without a server: sessions live in this process, their databases and files below `home`. A session is held
 * by one process at a time, from its first turn there until `close`; others are told who holds it, and can follow it.
 */
export class InProcessGateway implements Gateway {
  readonly #options: InProcessOptions;

  constructor(options: InProcessOptions) {
    this.#options = options;
  }

  /** The model of sessions that name none. */
  get defaultModel(): string {
    return defaultModelOf(this.#options.models);
  }

  /** `workspace_dir` may be the absolute path of any directory, or `sessions/<session_id>` to start with its files. */
  createSession(_settings?: CreateSessionBody, _options?: CallOptions): Promise<Session> {
    throw new Error("not built yet");
  }

  resumeSession(_sessionId: string, _options?: CallOptions): Promise<Session> {
    throw new Error("not built yet");
  }

  /** @throws `session_busy` where another process holds the session; the message says which */
  execute(_sessionId: string, _message: SubmitTurnBody, _options?: CallOptions): AsyncIterable<Event> {
    throw new Error("not built yet");
  }

  runQuery(_sessionId: string, _message: SubmitTurnBody, _options?: CallOptions): Promise<TurnResult> {
    throw new Error("not built yet");
  }

  cancelTurn(_sessionId: string, _turnId: string, _options?: CallOptions): Promise<void> {
    throw new Error("not built yet");
  }

  cancel(_sessionId: string, _options?: CallOptions): Promise<Cancelled> {
    throw new Error("not built yet");
  }

  events(_sessionId: string, _after: string, _options?: CallOptions): AsyncIterable<Event> {
    throw new Error("not built yet");
  }

  deleteSession(_sessionId: string, _options?: CallOptions): Promise<void> {
    throw new Error("not built yet");
  }

  listFiles(_sessionId: string, _query?: FileQuery, _options?: CallOptions): Promise<FilePage> {
    throw new Error("not built yet");
  }

  readFile(_sessionId: string, _path: string, _options?: CallOptions): Promise<Uint8Array> {
    throw new Error("not built yet");
  }

  writeFile(_sessionId: string, _path: string, _bytes: Uint8Array, _options?: CallOptions): Promise<FileInfo> {
    throw new Error("not built yet");
  }

  listSessions(_query?: SessionQuery, _options?: CallOptions): Promise<SessionPage> {
    throw new Error("not built yet");
  }

  health(_options?: CallOptions): Promise<Health> {
    throw new Error("not built yet");
  }

  close(): Promise<void> {
    throw new Error("not built yet");
  }
}
