import type { Event } from "../../src/protocol/events.ts";
import type { ToolResultBody } from "../../src/protocol/inputs.ts";
import type { AcceptedTurn, Cancelled, CreateSessionBody, Session, SubmitTurnBody } from "../../src/protocol/rest.ts";

/** One frame as a client got it, and when, in ms since the epoch. */
export type Seen = { event: Event; at: number };

/**
 * A client that follows a session from its first event on, and comes back with its last cursor whenever it loses its
 * connection. It forgets nothing: what it was sent is compared with the log in the end.
 */
export interface Watcher {
  /** How it follows, such as `websocket` or `sse`. */
  readonly how: string;
  /** Every event frame in the order in which it came, over all connections. */
  readonly seen: readonly Seen[];
  /** How often it had to connect again. */
  readonly reconnects: number;
  /** When each of its connections was made, in ms since the epoch, where it has any. */
  readonly connectedAt?: readonly number[];
  /** Whether it leaves by itself and comes back; one that does not stays for as long as it can. */
  readonly comesAndGoes?: boolean;
  /** Whether it has a connection now, where it has any. */
  readonly isConnected?: boolean;
  /** What was wrong by itself, whatever the log holds. */
  readonly faults?: readonly string[];
  /** Resolves with the first frame, of those seen and those to come, for which `test` holds. */
  until(test: (event: Event) => boolean): Promise<Event>;
  /** Ends it, once it has the log up to `seq` (0: at once). */
  stop(seq: number): Promise<void>;
}

/** What a session was doing when its process was killed, by what is stored. */
export type Phase =
  | "no session"
  | "idle"
  | "queued"
  | "model call"
  | "text"
  | "thinking"
  | "retry wait"
  | "call open"
  | "call started"
  | "call uploaded"
  | "call applying"
  /** A turn that nobody has answered. */
  | "waiting"
  /** What it waited for is settled, and it has not gone on. */
  | "answered"
  | "cancelling"
  | "deleting";

/** What a killed process left of a session. */
export type Remains = {
  phase: Phase;
  /** The turn that ran. */
  turnId: string | null;
  /** Starts of the host that found the turn running since its last progress: at 2 the next kill would be the third. */
  starts: number;
  /** How many turns waited for their start. */
  queued: number;
  /** What its turn still asks somebody for, and until when, in ms since the epoch. */
  asked: readonly { id: string; until: number }[];
};

/** What nothing is stored of. */
export const NO_REMAINS: Remains = { phase: "no session", turnId: null, starts: 0, queued: 0, asked: [] };

/** What somebody says to what a turn waits for. */
export type Reply = { input_id: string; response: string } | ({ tool_use_id: string } & ToolResultBody);

/**
 * A gateway in a process of its own, which can be killed. Requests that fail because it is down are the caller's to
 * repeat: each that changes something carries a key, or may be repeated.
 */
export interface ChaosHost {
  readonly name: "gateway" | "in-process";
  /** The ways in which a session can be followed here. */
  readonly ways: readonly string[];
  /** Those in which what it asks for can be answered. */
  readonly replyWays: readonly [string, ...string[]];
  /** Starts the process, on whatever the one before left. Resolves when it takes requests. */
  start(): Promise<void>;
  /** SIGKILL to its whole process group; resolves when none of it is left. */
  kill(): Promise<void>;
  /** Between a kill and a start: what is stored of a session, read from its files. */
  remains(sessionId: string): Remains;
  /**
   * Between a kill and a start: what is stored that should not be, in words. Of sessions that were removed that is
   * anything but a tombstone, of those that are kept bytes that nothing names and no clean-up would find.
   */
  leftBehind(kept: readonly string[], removed: readonly string[]): string[];

  createSession(body: CreateSessionBody, key: string): Promise<Session>;
  /** Null once it is deleted. */
  describe(sessionId: string): Promise<Session | null>;
  submit(sessionId: string, body: SubmitTurnBody, key: string): Promise<AcceptedTurn>;
  cancel(sessionId: string): Promise<Cancelled>;
  /** Takes a turn out of the queue, or cancels it if it runs. Returns whether it waited. */
  cancelTurn(sessionId: string, turnId: string): Promise<boolean>;
  /** Resolves once it is acknowledged. May be repeated. */
  reply(sessionId: string, reply: Reply, how: string): Promise<void>;
  deleteSession(sessionId: string): Promise<void>;
  /** The whole log. */
  log(sessionId: string): Promise<Event[]>;
  files(sessionId: string): Promise<Map<string, Uint8Array>>;
  watch(sessionId: string, how: string): Watcher;
  /** Ends everything, and removes what it stored unless it is to be kept. */
  [Symbol.asyncDispose](): Promise<void>;
}
