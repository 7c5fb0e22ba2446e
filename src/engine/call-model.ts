import { Aborted } from "./abortable.ts";
import { buildRequest } from "./build-request.ts";
import { makeRoom } from "./make-room.ts";
import { MessageReader } from "./message-reader.ts";
import { judgeFailure, judgeMessage, type ModelOutcome } from "./model-outcome.ts";
import type { TurnEnd } from "./next-step.ts";
import { planRoom } from "./plan-room.ts";
import { ModelError } from "./ports.ts";
import { readStream } from "./read-stream.ts";
import type { TurnDeps } from "./turn-deps.ts";
import type { ModelUse, TurnStore } from "./turn-store.ts";

/**
 * Calls the model once and stores what came of it: a committed step, a retry, or the end of the turn. Where the request
 * would not fit the model's window, it does one step that makes room instead, and leaves the rest to the next call.
 */
export async function callModel(deps: TurnDeps, signal: AbortSignal): Promise<void> {
  const { store, model, tools, now, random } = deps;
  const material = store.material();
  const request = buildRequest(material, model, tools.specs());
  const { attempt, raisedMaxTokens } = material;
  const plan = planRoom(material, request, model);
  if (plan !== null) {
    await makeRoom(deps, plan, attempt, signal);
    return;
  }
  const canMakeRoom = () => planRoom({ ...material, makeRoom: true }, request, model) !== null;
  const made = { attempt, raisedMaxTokens, canMakeRoom };
  const reader = new MessageReader(store);
  let outcome: ModelOutcome | null = null;
  try {
    await readStream(deps, request, attempt, reader, signal);
    outcome = judgeMessage(store.state(), reader.step(request.model), made, now());
  } catch (thrown) {
    if (thrown instanceof ModelError) outcome = judgeFailure(thrown, made, random);
    // What the model did not throw is no failure of the model's.
    else if (!(thrown instanceof Aborted && store.state().cancelled)) throw thrown;
  }
  const used = { model: request.model, usage: reader.usage };
  if (outcome !== null && (outcome.do === "commit" || !store.state().cancelled)) apply(store, outcome, used);
  // A call that failed in the moment of its cancel is a cancelled one, but what was refused for good stays refused.
  else if (outcome?.do === "fail" && outcome.omit) store.finish(CANCELLED, { omit: true, used });
  else store.commitStep(reader.partial(request.model), CANCELLED);
}

const CANCELLED: TurnEnd = { status: "cancelled", stopReason: null, stopDetails: null, error: null };

function apply(store: TurnStore, outcome: ModelOutcome, used: ModelUse): void {
  switch (outcome.do) {
    case "commit":
      store.commitStep(outcome.step, outcome.end);
      return;
    case "retry":
      store.retryStep(outcome, used);
      return;
    case "fail":
      store.finish(outcome.end, { omit: outcome.omit, used });
      return;
  }
}
