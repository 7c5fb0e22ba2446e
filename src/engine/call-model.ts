import { Aborted, abortable } from "./abortable.ts";
import { buildRequest, canMakeRoom } from "./build-request.ts";
import { MessageReader } from "./message-reader.ts";
import { toModelError } from "./model-failure.ts";
import { judgeFailure, judgeMessage, type ModelOutcome } from "./model-outcome.ts";
import type { TurnEnd } from "./next-step.ts";
import { ModelError, type ModelRequest } from "./ports.ts";
import type { TurnDeps } from "./turn-deps.ts";
import type { TurnStore } from "./turn-store.ts";

/** Calls the model once and stores what came of it: a committed step, a retry, or the end of the turn. */
export async function callModel(deps: TurnDeps, signal: AbortSignal): Promise<void> {
  const { store, model, tools, now, random } = deps;
  const material = store.material();
  const request = buildRequest(material, model, tools.specs());
  const { attempt, raisedMaxTokens, makeRoom: madeRoom } = material;
  const made = { attempt, raisedMaxTokens, madeRoom, canMakeRoom: canMakeRoom(material.transcript) };
  const reader = new MessageReader(store);
  let outcome: ModelOutcome;
  try {
    await readStream(deps, request, attempt, reader, signal);
    outcome = judgeMessage(store.state(), reader.step(request.model), made, now());
  } catch (thrown) {
    if (thrown instanceof Aborted && store.state().cancelled) {
      store.commitStep(reader.partial(request.model), CANCELLED);
      return;
    }
    // What the model did not throw is no failure of the model's.
    if (!(thrown instanceof ModelError)) throw thrown;
    outcome = judgeFailure(thrown, made, random);
  }
  apply(store, outcome);
}

const CANCELLED: TurnEnd = { status: "cancelled", stopReason: null, stopDetails: null, error: null };

function apply(store: TurnStore, outcome: ModelOutcome): void {
  switch (outcome.do) {
    case "commit":
      store.commitStep(outcome.step, outcome.end);
      return;
    case "retry":
      store.retryStep(outcome);
      return;
    case "fail":
      store.finish(outcome.end, { omit: outcome.omit });
      return;
  }
}

/**
 * Reads the stream to its end into `reader`. The platform has no deadline for the first byte or the next one, so one
 * timer watches both.
 *
 * @throws ModelError for every failure of the model, a stream that ends too early among them
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
    for await (const raw of eventsOf(model.stream(request, { signal: upstream.signal, attempt }), upstream.signal)) {
      // A stream that does not heed its signal must not write into a step that was given up.
      if (upstream.signal.aborted) return;
      due = now() + deadlines.nextEventMs;
      reader.push(raw);
      if (reader.complete) return;
    }
    throw new ModelError("cut", "The model's answer broke off before its end.");
  };
  try {
    await abortable(Promise.race([read(), stalled]), signal);
  } finally {
    if (watch !== undefined) clearInterval(watch);
    upstream.abort();
  }
}

/** The events of a stream; whatever it throws, unless it was told to stop, is a failure of the model's. */
async function* eventsOf(stream: AsyncIterable<unknown>, stopped: AbortSignal): AsyncGenerator<unknown> {
  try {
    yield* stream;
  } catch (thrown) {
    throw stopped.aborted ? thrown : toModelError(thrown);
  }
}
