import type { Usage } from "../protocol/events.ts";
import type { Json } from "../protocol/json.ts";
import type { ContentBlock } from "./messages.ts";
import type { TurnEnd, TurnState } from "./next-step.ts";
import type { Committed, Staged, ToolResultContent } from "./ports.ts";

/** One message of the transcript, as it was stored; for an assistant message with tool calls, their results too. */
export type TranscriptEntry = {
  /** Ids grow with the transcript. */
  messageId: number;
  turnId: string;
  role: "user" | "assistant";
  content: ContentBlock[];
  /** The model that wrote an assistant message. */
  model: string | null;
  /** `tool_result` blocks in the order of the calls; empty where there were no calls. */
  results: ContentBlock[];
};

/** What a model request is made of. */
export type RequestMaterial = {
  model: string;
  fastModel: string | null;
  system: string | null;
  /** The turn starts on the fast model. */
  startsFast: boolean;
  path: "fast" | "complex";
  /** The attempt that the next call is, from 1. */
  attempt: number;
  /** The last attempt ran out of output tokens inside a tool call. */
  raisedMaxTokens: boolean;
  /** The last attempt did not fit the model's window, whatever was thought of it before. */
  makeRoom: boolean;
  /** The turn that the request is for. */
  turnId: string;
  /** What follows the summary, if there is one. */
  transcript: TranscriptEntry[];
  room: RoomMade;
};

/** How the session made room in the model's context: what requests leave out of the transcript from then on. */
export type RoomMade = {
  /** Tool results of the messages up to this id are cleared; 0: of none. */
  clearedTo: number;
  /** What stands for the messages before the transcript's. */
  summary: string | null;
};

/** The results of messages up to `upTo` are cleared; `results`: how many more than before. */
export type Clearing = { upTo: number; results: number };

/** A summary stands for all messages up to `upTo`; `turns`: how many more turns than before. */
export type Summary = { upTo: number; turns: number; text: string };

/**
 * A tool call as the model made it. `input` is undefined where its JSON could not be parsed. `invalid`: when it was made
 * there was no such tool, or the tool did not take its input, so that nobody has decided whether it may run.
 */
export type ToolUse = { id: string; name: string; input: unknown; invalid?: true };

/** A model message that is complete and is to be committed. */
export type Step = {
  content: ContentBlock[];
  model: string;
  stopReason: string | null;
  stopDetails: Json;
  usage: Usage;
  calls: ToolUse[];
  /** How many tool results the model's server left out of the request. */
  clearedResults?: number;
};

/** A call of a model that was dropped, and is called again. */
export type Retry = { code: string; delayMs: number; change?: "raise_max_tokens" | "make_room" };

/** What a call used of a model, be it that nothing came of it. */
export type ModelUse = { model: string; usage: Usage };

export type ToolOutcome = { content: ToolResultContent; isError: boolean; durationMs: number };

/** A block of text or thinking that is streaming. Its row comes with the first piece. */
export interface BlockWriter {
  append(piece: string): void;
  addCitation(citation: Json): void;
  /** The characters have ended; the step is not committed yet. */
  end(): void;
}

/**
 * The stored side of one running turn. Every method that writes is one transaction, applies only while this loop is
 * the turn's own, and throws `TurnClosed` otherwise.
 */
export interface TurnStore {
  /** Whether a commit of this loop ended the turn. */
  readonly ended: boolean;
  state(): TurnState;
  material(): RequestMaterial;
  /** The call at `index` of the last assistant message. */
  call(index: number): ToolUse;

  openText(): BlockWriter;
  openThinking(options?: { redacted: boolean }): BlockWriter;

  /** The turn goes on with this model. */
  usePath(path: "fast" | "complex"): void;
  /** The oldest text that was said to the turn while it ran joins the transcript. */
  steer(): void;
  /** Nothing can be done until somebody answers: the turn is left, and another loop goes on with it then. */
  wait(): void;
  /** Commits a message with its text, calls and usage; with `end` the turn ends in the same transaction. */
  commitStep(step: Step, end: TurnEnd | null): void;
  /** Discards the step's blocks and says when the model is called again. */
  retryStep(retry: Retry, used: ModelUse): void;
  /** Leaves older tool results out of this and later requests of the session. */
  clearResults(clearing: Clearing): void;
  /** Has a summary stand for older messages in this and later requests of the session. */
  keepSummary(summary: Summary, used: ModelUse): void;
  /** Stores that a call starts, with the stage under which its files will be uploaded. */
  startCall(index: number, stageId: string): void;
  /**
   * Makes the call's changes visible and closes it; a conflict makes the result an error. Where the changes have yet to
   * be applied, the call stays open and keeps its outcome.
   */
  closeCall(index: number, outcome: ToolOutcome, staged: Staged | null): "closed" | "conflict" | "applying";
  /** The outcome that a call keeps while its changes are applied, and what is to be done for them. */
  applying(index: number): { outcome: ToolOutcome; redo: Json };
  /** Closes a call whose changes were applied. */
  closeApplied(index: number, outcome: ToolOutcome, committed: Committed[]): void;
  /** Ends the turn: discards open blocks, gives open calls a result. `omit` leaves the exchange out of later requests. */
  finish(end: TurnEnd, options?: { omit?: boolean; used?: ModelUse }): void;
}

/** The turn has ended, or another loop has it: whatever was about to be committed is dropped. */
export class TurnClosed extends Error {
  override readonly name = "TurnClosed";
}
