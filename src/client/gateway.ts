import type { Event } from "../protocol/events.ts";
import type { AnsweredInput, Input, InputLink, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import type { Json } from "../protocol/json.ts";
import type {
  Cancelled,
  CreateSessionBody,
  FileInfo,
  FilePage,
  Health,
  Session,
  SessionPage,
  SessionStatus,
  SubmitTurnBody,
  TurnResult,
} from "../protocol/rest.ts";
import type { Ticket, TicketBody } from "../protocol/tokens.ts";
import type { UsageGroup, UsageReport } from "../protocol/usage.ts";

export type CallOptions = { signal?: AbortSignal | undefined };

/** What is set for a link. */
export type LinkOptions = {
  /** At most, and by default, until the input's own deadline. */
  expires_in_seconds?: number;
};

/**
 * A tool that the caller runs for the model; what it gives, or throws, is the call's result. The signal is aborted once
 * nobody waits for that any more.
 */
export type RunTool = (
  input: Json,
  call: { tool_use_id: string; name: string; signal: AbortSignal },
) => Promise<string> | string;

/**
 * A message, and the tools of the session's `tools` that this caller runs, by their names. A name that the session has
 * no tool of is never called, and a call of a tool that is missing here waits, without a word, for another client.
 */
export type ExecuteMessage = SubmitTurnBody & { tools?: Readonly<Record<string, RunTool>> };

export type FileQuery = {
  /** What the paths begin with. */
  prefix?: string;
  /** Files a page. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
};

export type SessionQuery = {
  status?: SessionStatus;
  user_id?: string;
  q?: string;
  /** Sessions a page. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
};

export type UsageQuery = {
  /** A day, such as `2026-01-31`, which stands for its beginning in UTC, or a time; 30 days before `to` by default. */
  from?: string;
  /** The same, and not in the range any more; the end of today by default. */
  to?: string;
  group_by?: UsageGroup;
  user_id?: string;
  /** Groups a page. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
};

/**
 * A gateway as a program uses it, wherever it runs. Every method throws a `GatewayError`, whose `code` says what
 * happened, or the signal's reason once the signal is aborted.
 */
export interface Gateway {
  createSession(settings?: CreateSessionBody, options?: CallOptions): Promise<Session>;

  /** The session as it stands. @throws `not_found` for one that does not exist or is not the caller's */
  resumeSession(sessionId: string, options?: CallOptions): Promise<Session>;

  /**
   * Submits a message once the first event is asked for, and yields the events of its turn in order, up to and with
   * ITERATION_END, each once. A TEXT or THINKING block comes in pieces that carry their offset. A message that steers
   * has the events of the turn that it joins, from that turn's beginning.
   *
   * The turn's calls of `tools` are answered meanwhile, each run once, while the caller takes the events; those that
   * others answer first are aborted.
   *
   * Leaving the iteration, or aborting, does not cancel the turn.
   */
  execute(sessionId: string, message: ExecuteMessage, options?: CallOptions): AsyncIterable<Event>;

  /** Submits a message and waits until its turn, or that which it joins, has ended, or waits for a person (status `waiting`). */
  runQuery(sessionId: string, message: SubmitTurnBody, options?: CallOptions): Promise<TurnResult>;

  /** Something that people are asked. @throws `not_found` */
  input(sessionId: string, inputId: string, options?: CallOptions): Promise<Input>;

  /**
   * Settles what people are asked, for everyone: `allow` or `deny` for an approval, any text for a question. The same
   * answer again changes nothing.
   *
   * @throws `not_found`, `invalid_request`, `already_answered`
   */
  answer(sessionId: string, inputId: string, response: string, options?: CallOptions): Promise<AnsweredInput>;

  /**
   * Gives the result of a call of a client's tool. The same again changes nothing.
   *
   * @throws `not_found`, `already_answered`, `session_busy` for a call that was not allowed yet
   */
  giveToolResult(
    sessionId: string,
    toolUseId: string,
    result: ToolResultBody,
    options?: CallOptions,
  ): Promise<TakenToolResult>;

  /** Makes a link that answers once. @throws `not_found`, `already_answered`; `unavailable` where nobody could open it */
  mintLink(sessionId: string, inputId: string, body?: LinkOptions, options?: CallOptions): Promise<InputLink>;

  /**
   * Makes a ticket, with which a page that has no token opens one stream of the session, once, within a minute: with the
   * scopes that are named, or those of one's own token.
   *
   * @throws `not_found`, `forbidden`; `unavailable` where nobody could use it
   */
  createTicket(sessionId: string, body?: TicketBody, options?: CallOptions): Promise<Ticket>;

  /** Ends a turn, whether it runs or still waits in the queue. Does nothing for one that has ended. */
  cancelTurn(sessionId: string, turnId: string, options?: CallOptions): Promise<void>;

  /** Cancels the running turn; resolves once it has stopped. Turns that wait stay. */
  cancel(sessionId: string, options?: CallOptions): Promise<Cancelled>;

  /**
   * All events of a session after a cursor (from its start: `"0"`), then live, each once, until it is left or aborted.
   *
   * @throws `not_found` also when the session is deleted meanwhile
   */
  events(sessionId: string, after: string, options?: CallOptions): AsyncIterable<Event>;

  /** The session is gone, with its log and the files that were its own. */
  deleteSession(sessionId: string, options?: CallOptions): Promise<void>;

  /** Sorted by path. */
  listFiles(sessionId: string, query?: FileQuery, options?: CallOptions): Promise<FilePage>;

  /** A file's bytes. @throws `not_found`, `path_refused` */
  readFile(sessionId: string, path: string, options?: CallOptions): Promise<Uint8Array>;

  /** Puts a file, as a client does: the log tells of it. @throws `path_refused`, `too_large` */
  writeFile(sessionId: string, path: string, bytes: Uint8Array, options?: CallOptions): Promise<FileInfo>;

  /** Newest activity first. */
  listSessions(query?: SessionQuery, options?: CallOptions): Promise<SessionPage>;

  /** What ended turns have used, sorted by the key of the groups. */
  usage(query?: UsageQuery, options?: CallOptions): Promise<UsageReport>;

  /** Resolves for an unhealthy gateway too; its `checks` say what is wrong. */
  health(options?: CallOptions): Promise<Health>;

  /** Ends what runs through this client, which throws `unavailable`. The turns go on. */
  close(): Promise<void>;
}
