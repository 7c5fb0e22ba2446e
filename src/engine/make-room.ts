import { Aborted } from "./abortable.ts";
import { MessageReader } from "./message-reader.ts";
import { MODEL_MAX_ATTEMPTS } from "./model-failure.ts";
import { type Failure, judgeFailure } from "./model-outcome.ts";
import type { RoomPlan } from "./plan-room.ts";
import { ModelError } from "./ports.ts";
import { readStream } from "./read-stream.ts";
import type { TurnDeps } from "./turn-deps.ts";
import type { BlockWriter, Step } from "./turn-store.ts";

/** A summary is for the model; clients are told that there is one. */
const SILENT: BlockWriter = { append: () => {}, addCitation: () => {}, end: () => {} };
const NOWHERE = { openText: () => SILENT, openThinking: () => SILENT };

/** Does one step that makes the session's requests smaller, and stores it; a summary that fails is a retry, or the turn's end. */
export async function makeRoom(deps: TurnDeps, plan: RoomPlan, attempt: number, signal: AbortSignal): Promise<void> {
  const { store } = deps;
  if (plan.do === "clear") {
    store.clearResults({ upTo: plan.upTo, results: plan.results });
    return;
  }
  const { request, upTo, turns } = plan;
  const reader = new MessageReader(NOWHERE);
  let failure: Failure | null = null;
  let text: string | null = null;
  try {
    await readStream(deps, request, attempt, reader, signal);
    text = summaryOf(reader.step(request.model));
  } catch (thrown) {
    if (thrown instanceof ModelError) failure = judgeSummary(thrown, attempt, deps.random);
    else if (!(thrown instanceof Aborted && store.state().cancelled)) throw thrown;
  }
  const used = { model: request.model, usage: reader.usage };
  if (text !== null) store.keepSummary({ upTo, turns, text }, used);
  else if (failure === null || store.state().cancelled) {
    store.finish({ status: "cancelled", stopReason: null, stopDetails: null, error: null }, { used });
  } else if (failure.do === "retry") store.retryStep(failure, used);
  else store.finish(failure.end, { used });
}

/** @throws ModelError where the message is no summary */
function summaryOf({ content, stopReason }: Step): string {
  const text = content
    .flatMap((block) => (block.type === "text" ? [String(block["text"])] : []))
    .join("")
    .trim();
  if (stopReason === "model_context_window_exceeded") {
    throw new ModelError(stopReason, "What was to be summarised did not fit.", { status: 200, tooLong: true });
  }
  if (stopReason === "refusal") throw new ModelError("refusal", "The model refused to summarise.", { status: 200 });
  if (text === "") throw new ModelError("no_summary", "The model's summary was empty.", { status: 200 });
  return text;
}

/** Less is given to the model with each attempt, so that one which was too long is made again at once. */
function judgeSummary(error: ModelError, attempt: number, random: () => number): Failure {
  if (error.tooLong && attempt < MODEL_MAX_ATTEMPTS) {
    return { do: "retry", code: error.code, delayMs: 0 };
  }
  const outcome = judgeFailure(error, { attempt, canMakeRoom: () => false }, random);
  if (outcome.do !== "fail" || outcome.end.error === null) return outcome;
  const { code, message, retryable } = outcome.end.error;
  const words = `The session no longer fits the model's window, and what came before could not be summarised. ${message}`;
  return { ...outcome, end: { ...outcome.end, error: { code, message: words, retryable } } };
}
