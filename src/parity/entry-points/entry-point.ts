import type { Event } from "../../protocol/events.ts";
import type { TurnResult } from "../../protocol/rest.ts";
import type { Scene } from "../scenes.ts";

/** What a person sees. */
export type Shown = { stdout: string; stderr: string };

/** Shows the events of one turn as the command line does. */
export type Show = (events: readonly Event[], options: { thinking: boolean }) => Shown;

/** One way in which an entry point brings a session's events. */
export type View = {
  /** Such as "turn stream"; empty where there is only one. */
  name: string;
  /** Live events come as they happen, text in pieces; a replay tells what came of them. */
  timing: "live" | "replay";
  /** The whole log, or the turns that were asked for, a stream each. */
  scope: "log" | "turn";
  streams: readonly (readonly Event[])[];
};

/** What an entry point says at the end of a turn, beside its events. */
export type Ending =
  | { kind: "result"; result: TurnResult }
  | { kind: "exit"; turnId: string | null; code: number | null };

export type Said = {
  /** The turn's events as this way brings them; null where only the session's log has them. */
  events: readonly Event[] | null;
  ending: Ending | null;
  /** What a person saw; null where this way shows nothing by itself. */
  shown: Shown | null;
};

/** Something that a turn waits for. */
export type Asked = { kind: "input" | "tool"; id: string };

export type SayOptions = {
  /** Called when the turn's first tool call is seen. */
  onToolCall?: () => void;
  /** Called when the turn is seen to wait in the queue. */
  onQueued?: () => void;
  /** Called when the turn is first seen to wait, with all that it waits for: the people's, then the clients'. */
  onWaiting?: (asked: readonly Asked[]) => void;
  /** What becomes of the message, where a turn runs. */
  onBusy?: "interrupt" | "steer";
  /** The result is all that is wanted, where this way can do without the events. */
  resultOnly?: boolean;
};

/** One session, as it is talked to through one entry point. Every promise is rejected once the play's time is up. */
export type Conversation = {
  /** Runs a turn to its end, or joins one. */
  say(prompt: string, options: SayOptions): Promise<Said>;
  /** Cancels the turn that runs. */
  cancel(): Promise<void>;
  /** Answers what a turn waits for, or gives the result that it waits for. */
  reply(asked: Asked, content: string): Promise<void>;
  /** Writes a file, as a client does. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** The ways beside `say` in which the session's log is seen, when its last turn has ended. */
  views(): Promise<View[]>;
  /** Every file of the workspace, read back by this entry point's own means. */
  files(): Promise<Map<string, Uint8Array>>;
  /** Removes the session. Called once, also after a failure. */
  close(): Promise<void>;
};

export type OpenOptions = {
  model: string;
  /** Aborted when the play's time is up. */
  signal: AbortSignal;
  /** What is going to be played. */
  scene: Scene;
};

/** A way to run prompts that must come to the same as every other. */
export type EntryPoint = {
  name: string;
  /** Why this entry point leaves a scene out; null if it plays it. */
  leavesOut(scene: Scene): string | null;
  open(options: OpenOptions): Promise<Conversation>;
};
