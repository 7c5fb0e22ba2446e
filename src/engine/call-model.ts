import { Aborted, abortable } from "./abortable.ts";
import { buildRequest, canMakeRoom } from "./build-request.ts";
import { MessageReader } from "./message-reader.ts";
import { backoffMs, isPassing, MODEL_MAX_ATTEMPTS, refusesInput, toModelError } from "./model-failure.ts";
import { nextStep, type TurnEnd, type TurnState } from "./next-step.ts";
import { ModelError, type ModelRequest } from "./ports.ts";
import type { TurnDeps } from "./turn-deps.ts";
import { type RequestMaterial, type Step, TurnClosed } from "./turn-store.ts";

/** Calls the model once and stores what came of it: a committed step, a retry, or the end of the turn. */
export async function callModel(deps: TurnDeps, state: TurnState, signal: AbortSignal): Promise<void> {
  const { store, model, tools } = deps;
  const material = store.material();
  const request = buildRequest(material, model, tools.specs());
  const reader = new MessageReader(store);
  let step: Step;
  try {
    await readStream(deps, request, material.attempt, reader, signal);
    step = reader.step(request.model);
    if (!reader.complete || step.stopReason === null) {
      throw new ModelError("cut", "The model's answer broke off before its end.");
    }
  } catch (thrown) {
    if (thrown instanceof TurnClosed) throw thrown;
    if (thrown instanceof Aborted) {
      if (!store.state().cancelled) throw thrown;
      store.commitStep(reader.partial(request.model), CANCELLED);
      return;
    }
    fail(deps, material, toModelError(thrown));
    return;
  }
  // What fails from here on is no failure of the model's.
  settle(deps, state, material, step);
}

const CANCELLED: TurnEnd = { status: "cancelled", stopReason: null, stopDetails: null, error: null };

/** A message that came whole: what its stop reason asks for. */
function settle(deps: TurnDeps, state: TurnState, material: RequestMaterial, step: Step): void {
  const { store, now } = deps;
  if (step.stopReason === "max_tokens" && step.calls.length > 0) {
    // The last call's input may be cut anywhere, even where it happens to parse, so none of the message is run.
    if (material.raisedMaxTokens) {
      store.finish(failed("max_tokens", "The model ran out of output tokens inside a tool call, twice.", step));
    } else store.retryStep({ code: "max_tokens", delayMs: 0, change: "raise_max_tokens" });
    return;
  }
  if (step.stopReason === "model_context_window_exceeded") {
    if (material.makeRoom || !canMakeRoom(material.transcript)) {
      const message = "The session no longer fits the model's window, even without its older tool results.";
      store.finish(failed("model_context_window_exceeded", message, step));
    } else store.retryStep({ code: "model_context_window_exceeded", delayMs: 0, change: "make_room" });
    return;
  }
  const runnable = step.stopReason === "refusal" ? { ...step, calls: [] } : step;
  const after: TurnState = {
    ...state,
    modelCalls: state.modelCalls + 1,
    retryAt: null,
    starts: 0,
    last: {
      stopReason: step.stopReason,
      stopDetails: step.stopDetails,
      calls: runnable.calls.map(() => ({ readOnly: false, retry: "safe", status: "open" })),
    },
  };
  const next = nextStep(after, now());
  store.commitStep(runnable, next.do === "finish" ? next.end : null);
}

function failed(code: string, message: string, { stopReason, stopDetails }: Step): TurnEnd {
  return { status: "failed", stopReason, stopDetails, error: { code, message, retryable: false } };
}

function fail({ store, random }: TurnDeps, { attempt }: RequestMaterial, error: ModelError): void {
  const passing = isPassing(error);
  if (passing && attempt < MODEL_MAX_ATTEMPTS) {
    store.retryStep({ code: error.code, delayMs: backoffMs(attempt, error.retryAfterMs, random) });
    return;
  }
  const { code, message } = error;
  store.finish(
    { status: "failed", stopReason: null, stopDetails: null, error: { code, message, retryable: passing } },
    { omit: refusesInput(error) },
  );
}

/**
 * Reads the stream to its end into `reader`. The platform has no deadline for the first byte or the next one, so one
 * timer watches both.
 */
async function readStream(
  { model, now, deadlines }: TurnDeps,
  request: ModelRequest,
  attempt: number,
  reader: MessageReader,
  signal: AbortSignal,
): Promise<void> {
  const upstream = new AbortController();
  let due = now() + deadlines.firstEventMs;
  let watch: ReturnType<typeof setInterval> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    const check = () => {
      if (now() >= due) reject(new ModelError("stalled", "The model sent nothing for too long."));
    };
    watch = setInterval(check, Math.min(1_000, deadlines.nextEventMs / 4));
  });
  const read = async () => {
    for await (const raw of model.stream(request, { signal: upstream.signal, attempt })) {
      // A stream that does not heed its signal must not write into a step that was given up.
      if (upstream.signal.aborted) return;
      due = now() + deadlines.nextEventMs;
      reader.push(raw);
      if (reader.complete) return;
    }
  };
  try {
    await abortable(Promise.race([read(), stalled]), signal);
  } finally {
    if (watch !== undefined) clearInterval(watch);
    upstream.abort();
  }
}
