import type { Reached } from "../protocol/budget.ts";
import type { EndStatus } from "../protocol/events.ts";
import type { Json } from "../protocol/json.ts";

/** A tool call of the turn's last assistant message. */
export type CallState = {
  readOnly: boolean;
  /** Whether it may run again after it was started and not closed. */
  retry: "safe" | "unsafe";
  /**
   * `started` only where a mark was stored: calls that change nothing have none. `applying`: what it changes is decided
   * and is being done to files outside the database.
   */
  status: "open" | "started" | "applying" | "closed";
  /** Someone has to answer before it can be run, or their answer is its result. */
  waits: boolean;
};

/** All that decides how a turn goes on. Everything in it is stored. */
export type TurnState = {
  cancelled: boolean;
  /** Whether the fast model has the turn. */
  path: "fast" | "complex";
  modelCalls: number;
  maxIterations: number;
  /** When the next attempt of a failed model call is due, in ms since the epoch. */
  retryAt: number | null;
  /** How often the session was started and found this turn running, since its last committed step or call. */
  starts: number;
  /**
   * What was said to the turn while it ran: `waiting` is not in the transcript yet, `joined` is, and the model has not
   * answered it.
   */
  steered: "none" | "waiting" | "joined";
  /** The limit of the turn's budget, or of its session's, that is used up. */
  overBudget: OverBudget | null;
  /** The same of `seconds` alone, which tools use up too. */
  overSeconds: OverBudget | null;
  /** The turn's last assistant message; null before the first. */
  last: { stopReason: string | null; stopDetails: Json; calls: CallState[] } | null;
};

/** A limit that is used up, and whose it is. */
export type OverBudget = Reached & { budget: "turn" | "session" };

export type TurnEnd = {
  status: EndStatus;
  stopReason: string | null;
  stopDetails: Json;
  error: { code: string; message: string; retryable: boolean } | null;
};

export type NextStep =
  | { do: "call_model"; path: "fast" | "complex" }
  | { do: "wait"; until: number }
  /** Puts the oldest text that waits into the transcript. */
  | { do: "steer" }
  /** Nothing can be done until somebody answers. */
  | { do: "wait_for_answers" }
  /** Runs these calls together. */
  | { do: "run_tools"; calls: number[] }
  /** Does what these calls have decided to change, and closes them. */
  | { do: "apply_calls"; calls: number[] }
  /** Gives these calls an error result: they were started, and whether they took effect is unknown. */
  | { do: "interrupt_tools"; calls: number[] }
  | { do: "finish"; end: TurnEnd };

/** At this many starts without progress the open calls are given up; at one more, the turn. */
const STARTS_GIVE_UP_CALLS = 3;

const CRASH_LOOP = {
  code: "interrupted",
  message: "The turn was interrupted too often without getting further.",
  retryable: true,
};

/**
 * What a turn does next, from nothing but what is stored. The loop asks again after every commit, and after a crash;
 * there is no other way to recover.
 */
export function nextStep(state: TurnState, now: number): NextStep {
  const { last, starts } = state;
  const open = (last?.calls ?? []).flatMap((call, index) => (call.status === "closed" ? [] : [{ call, index }]));
  // Before all else, a cancel included: the files are to be as the log will say.
  const applying = open.filter(({ call }) => call.status === "applying");
  if (applying.length > 0 && starts < STARTS_GIVE_UP_CALLS) {
    return { do: "apply_calls", calls: applying.map(({ index }) => index) };
  }
  if (state.cancelled) return finish("cancelled");

  // What waits for an answer, and what comes after it, does nothing that could have ended the host.
  const waiting = open.findIndex(({ call }) => call.waits);
  const ours = waiting === -1 ? open : open.slice(0, waiting);
  if (starts > STARTS_GIVE_UP_CALLS || (starts === STARTS_GIVE_UP_CALLS && open.length === 0)) {
    return finish("failed", { error: CRASH_LOOP });
  }
  if (starts === STARTS_GIVE_UP_CALLS && ours.length > 0) {
    return { do: "interrupt_tools", calls: ours.map(({ index }) => index) };
  }

  const lost = ours.filter(({ call }) => call.status === "started" && call.retry === "unsafe");
  if (lost.length > 0) return { do: "interrupt_tools", calls: lost.map(({ index }) => index) };
  if (last !== null && last.stopReason === "refusal") return finish("refused", last);
  const [first] = open;
  // Nobody is to be asked for what cannot be run any more. Other limits are used up by calls of the model alone.
  if (first !== undefined && state.overSeconds !== null) return exceed(state.overSeconds, last);
  // One that waits holds back those after it, as one that changes something does.
  if (first?.call.waits === true) return { do: "wait_for_answers" };
  if (first !== undefined) return { do: "run_tools", calls: batchFrom(first.index, last?.calls ?? []) };

  const paused = last !== null && last.stopReason === "pause_turn";
  const answered = last !== null && last.calls.length === 0 && !paused && state.steered !== "joined";
  const mayGoOn = state.modelCalls < state.maxIterations;
  // What was said since and can no longer join becomes the next turn.
  const mayJoin = mayGoOn && state.overBudget === null;
  if (answered && (state.steered === "none" || !mayJoin)) return finish("complete", last);
  if (!mayGoOn) return finish("max_iterations", last ?? {});
  if (state.overBudget !== null) return exceed(state.overBudget, last);
  // A paused message goes back last, so what was said meanwhile waits until it has gone on.
  if (state.steered === "waiting" && !paused) return { do: "steer" };
  if (state.retryAt !== null && state.retryAt > now) return { do: "wait", until: state.retryAt };
  // The fast model hands over once there are tool calls.
  return { do: "call_model", path: last !== null && last.calls.length > 0 ? "complex" : state.path };
}

/** The call at `first` alone if it changes something; else it and the open calls after it that change nothing either. */
function batchFrom(first: number, calls: CallState[]): number[] {
  const length = calls
    .slice(first)
    .findIndex(({ readOnly, status, waits }) => !readOnly || waits || status === "closed");
  const end = length === -1 ? calls.length : first + Math.max(length, 1);
  return Array.from({ length: end - first }, (_, i) => first + i);
}

function exceed(limit: OverBudget, last: TurnState["last"]): NextStep {
  return finish("budget_exceeded", { stopReason: last?.stopReason ?? null, stopDetails: { ...limit } });
}

function finish(status: EndStatus, details: Partial<Omit<TurnEnd, "status">> = {}): NextStep {
  return {
    do: "finish",
    end: {
      status,
      stopReason: details.stopReason ?? null,
      stopDetails: details.stopDetails ?? null,
      error: details.error ?? null,
    },
  };
}
