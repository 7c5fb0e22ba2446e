import { asksForTooLong, backoffMs, explain, isPassing, MODEL_MAX_ATTEMPTS, refusesInput } from "./model-failure.ts";
import { nextStep, type TurnEnd, type TurnState } from "./next-step.ts";
import type { ModelError } from "./ports.ts";
import type { Retry, Step } from "./turn-store.ts";

/** What becomes of a model call. */
export type ModelOutcome =
  /** The message is kept, and with `end` the turn ends with it. */
  { do: "commit"; step: Step; end: TurnEnd | null } | Failure;

/** What becomes of a call of which nothing is kept. */
export type Failure =
  /** The message is dropped and the model is called again. */
  | ({ do: "retry" } & Retry)
  /** The message is dropped and the turn ends; `omit` leaves the exchange out of later requests. */
  | { do: "fail"; end: TurnEnd; omit: boolean };

/** How the call that is judged was made. */
export type Attempt = {
  attempt: number;
  /** It was allowed more output tokens than usual. */
  raisedMaxTokens: boolean;
  /** Whether the next request can be made smaller. */
  canMakeRoom(): boolean;
};

/** What becomes of a message that came whole: its stop reason decides. */
export function judgeMessage(state: TurnState, step: Step, attempt: Attempt, now: number): ModelOutcome {
  const { stopReason, stopDetails } = step;
  const fail = (code: string, message: string): ModelOutcome => ({
    do: "fail",
    end: { status: "failed", stopReason, stopDetails, error: { code, message, retryable: false } },
    omit: false,
  });
  if (stopReason === "max_tokens" && step.calls.length > 0) {
    // The last call's input may be cut anywhere, even where it happens to parse, so none of the message is run.
    return attempt.raisedMaxTokens
      ? fail("max_tokens", "The model ran out of output tokens inside a tool call, twice.")
      : { do: "retry", code: "max_tokens", delayMs: 0, change: "raise_max_tokens" };
  }
  if (stopReason === "model_context_window_exceeded") {
    return attempt.canMakeRoom()
      ? { do: "retry", code: stopReason, delayMs: 0, change: "make_room" }
      : fail(stopReason, "The turn no longer fits the model's window, and nothing more can be left out of it.");
  }
  const kept = stopReason === "refusal" ? { ...step, calls: [] } : step;
  const after: TurnState = {
    ...state,
    modelCalls: state.modelCalls + 1,
    retryAt: null,
    starts: 0,
    // What had joined before the call is answered by it.
    steered: state.steered === "waiting" ? "waiting" : "none",
    // With any call open the message does not end the turn, so it does not matter here what the calls are.
    last: {
      stopReason,
      stopDetails,
      calls: kept.calls.map(() => ({ readOnly: false, retry: "safe", status: "open", waits: false })),
    },
  };
  const next = nextStep(after, now);
  return { do: "commit", step: kept, end: next.do === "finish" ? next.end : null };
}

/** What becomes of a call that failed. `random` gives numbers from 0 up to 1. */
export function judgeFailure(
  error: ModelError,
  { attempt, canMakeRoom }: Pick<Attempt, "attempt" | "canMakeRoom">,
  random: () => number,
): Failure {
  const { code } = error;
  if (error.tooLong && canMakeRoom()) return { do: "retry", code, delayMs: 0, change: "make_room" };
  const retryable = isPassing(error);
  if (retryable && attempt < MODEL_MAX_ATTEMPTS && !asksForTooLong(error)) {
    return { do: "retry", code, delayMs: backoffMs(attempt, error.retryAfterMs, random) };
  }
  return {
    do: "fail",
    end: { status: "failed", stopReason: null, stopDetails: null, error: { code, message: explain(error), retryable } },
    omit: refusesInput(error),
  };
}
