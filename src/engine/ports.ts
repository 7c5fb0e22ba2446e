/**
 * What the engine needs from the world. Everything that it is handed stands here; it imports no platform.
 */
import type * as z from "zod";
import type { Event } from "../protocol/events.ts";
import type { Json } from "../protocol/json.ts";
import type { FileInfo, Session } from "../protocol/rest.ts";
import type { TurnUsage } from "../protocol/usage.ts";
import type { ContentBlock, Message } from "./messages.ts";

// ---- Sql -------------------------------------------------------------------------------------------------------------

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, SqlValue>;

/** A session's own database. Both implementations are synchronous. */
export interface Sql {
  /** Runs one statement and returns its rows. `Row` is the caller's word for what the statement selects. */
  exec<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[];
  /** Runs `write` in one transaction: a throw rolls everything back. `write` must not be async; one that is, is refused. */
  transaction<T>(write: () => T): T;
}

// ---- Host ------------------------------------------------------------------------------------------------------------

/** What holds a session: a Durable Object, or a process. */
export interface Host {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Makes sure that the session is woken at `time` or earlier. Called inside the transaction that needs it. */
  wakeAt(time: number): void;
  /** Hands a committed event, or a piece of the open block, to every client. Never throws. */
  broadcast(event: Event): void;
  /**
   * Brings the index row up to date. `version` grows with every change, so an old write never beats a newer one.
   * Together with it goes what turns used that have ended, which may come again and counts once: both or neither.
   * Rejects when the index could not be reached; the session tries again.
   */
  index(summary: Session, version: number, usage: TurnUsage[]): Promise<void>;
}

// ---- Model -----------------------------------------------------------------------------------------------------------

export type ToolSpec = { name: string; description: string; input_schema: Record<string, unknown> };

export type ModelRequest = {
  model: string;
  system: string | null;
  messages: Message[];
  tools: ToolSpec[];
  /** Output tokens at most. */
  max_tokens: number;
  /** Whether the model is to think, in the way that it offers. */
  thinking: boolean;
  /** What is asked for, where it is no step of a turn. */
  purpose?: "summary";
  /** From `trigger` input tokens on, the model's server is to clear the results of all but the last `keep` tool calls. */
  clearing?: { trigger: number; keep: number } | undefined;
};

/** How much a model takes in one request, its answer included, and whether its server clears older tool results itself. */
export type ContextWindow = { tokens: number; clearsResults: boolean };

/**
 * How a model thinks: `adaptive` ones decide for themselves and may be switched on in the middle of a tool loop,
 * `budget` ones take a fixed budget and one configuration a tool loop, `none` do not think.
 */
export type ThinkingKind = "adaptive" | "budget" | "none";

export interface Model {
  thinking(model: string): ThinkingKind;
  /** The most output tokens that may be asked of the model. */
  maxTokens(model: string): { usual: number; highest: number };
  /** Null where it is not known: whether a request fits is then left to the model's server. */
  window(model: string): ContextWindow | null;
  /**
   * One call of the model. Yields the events of the Messages API's stream, unparsed
   * (https://docs.claude.com/en/docs/build-with-claude/streaming).
   *
   * @throws ModelError for every failure; `attempt` counts from 1 and is 1 again after a committed step
   */
  stream(request: ModelRequest, options: { signal: AbortSignal; attempt: number }): AsyncIterable<unknown>;
}

/**
 * Why a model call failed. `code` is the API's error type, or `network`, `cut`, `stalled`, `malformed`,
 * `output_too_large`, `call_too_long`, or `configuration` where the gateway's own settings are at fault.
 */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: string;
  /** The HTTP status, where there was one. */
  readonly status: number | null;
  /** What the server asked for, in milliseconds. */
  readonly retryAfterMs: number | null;
  /** The request was refused for its length alone. */
  readonly tooLong: boolean;

  constructor(
    code: string,
    message: string,
    options: { status?: number | null; retryAfterMs?: number | null; tooLong?: boolean } = {},
  ) {
    super(message);
    this.code = code;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.tooLong = options.tooLong ?? false;
  }
}

// ---- Tools -----------------------------------------------------------------------------------------------------------

export type FileEntry = { path: string; size: number };

/** One thing that lies in a folder. The path of a folder ends in a slash. */
export type Entry = ({ kind: "file" } & FileEntry) | { kind: "folder"; path: string };

/** What a tool call sees of the workspace: its own changes over what is committed. Nothing is changed before commit. */
export interface Draft {
  /** What lies directly in a folder (`""` is the root), sorted by path; nothing where there is no such folder. */
  entries(folder: string): Promise<Entry[]>;
  stat(path: string): Promise<FileEntry | null>;
  /** The whole file; null where there is none. @throws ToolError over `TOOL_FILE_MAX_BYTES` */
  read(path: string): Promise<Uint8Array | null>;
  write(path: string, bytes: Uint8Array): void;
  remove(path: string): void;
}

/** A failure that the model is to read, as an error result. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

export type ToolContext = { workspace: Draft; signal: AbortSignal };

export type ToolResultContent = string | ContentBlock[];

type Retry = "safe" | "unsafe";

/** What a model is told of a tool, and what input it takes. */
interface ToolFace<Input> {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodType<Input>;
}

/** A tool that the gateway runs: what the model is told, what input it takes, and what it does. */
export interface Tool<Input = unknown> extends ToolFace<Input> {
  /** The tool whose permission holds for this one too: who has one asked for means all that does the same. */
  readonly permission?: string;
  /** Changes nothing: adjacent calls run together, and no started mark is written. */
  readonly readOnly: boolean;
  /** Whether a call that was started and not closed may run again. Changes to the workspace are staged, so those may. */
  // Spelt as a method's type, so that a tool of a certain input still is a `Tool` of any.
  readonly retry: Retry | { of(input: Input): Retry }["of"];
  /** @throws ToolError for what the model can mend; anything else becomes an error result too */
  run(input: Input, context: ToolContext): Promise<ToolResultContent>;
}

/** What is asked of a person: the words, and answers that are offered. */
export type Question = { message: string; options?: string[] | undefined };

/** A tool that is not run here: what somebody answers is its result. */
export type AskedTool<Input = unknown> = ToolFace<Input> &
  (
    | { readonly asks: "person"; readonly question: { of(input: Input): Question }["of"] }
    /** `inputSchema` is what the model is shown; `timeoutSeconds` is null where the session's own counts. */
    | { readonly asks: "client"; readonly inputSchema: Record<string, Json>; readonly timeoutSeconds: number | null }
  );

// ---- Workspace -------------------------------------------------------------------------------------------------------

/** A change that a draft holds: bytes, or null for a removal. */
export type Change = { path: string; bytes: Uint8Array | null };

/** One file as a commit left it. */
export type Committed = { path: string; info: FileInfo | null };

/** `conflict` is a file that is no longer as the draft saw it. */
export type Applied = { conflict: string } | { committed: Committed[] };

/** The changes of one tool call, uploaded and not yet visible. */
export interface Staged {
  /**
   * Makes the changes visible, inside a transaction of the session's; `seq` is the event that they belong to. A conflict
   * writes nothing. Files that lie outside the database give `redo` instead: what `Workspace.finish` has yet to do. It
   * is stored with the call, which stays open until then.
   */
  commit(sql: Sql, seq: number): Applied | { redo: Json };
  /** Drops what was uploaded, after a commit that did not come. */
  discard(): Promise<void>;
}

export interface OpenDraft extends Draft {
  readonly changed: boolean;
  /** Uploads the changes under a stage id that was stored before. */
  stage(stageId: string): Promise<Staged>;
}

export interface Workspace {
  openDraft(): OpenDraft;
  /**
   * Does what a commit left to be done, which is decided and cannot be taken back. Idempotent: called after the commit,
   * and again on wake. A conflict is a file that someone else changed since; changes may have been made in part then.
   * Once the signal is aborted nothing more is changed.
   */
  finish(redo: Json, signal?: AbortSignal): Promise<Applied>;
}
