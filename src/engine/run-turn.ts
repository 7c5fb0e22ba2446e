import { Aborted, sleep } from "./abortable.ts";
import { applyCalls } from "./apply-calls.ts";
import { callModel } from "./call-model.ts";
import { nextStep } from "./next-step.ts";
import { interruptTools, runTools } from "./run-tools.ts";
import type { TurnDeps } from "./turn-deps.ts";

/**
 * Runs a turn to its end, or until it waits for somebody, from wherever its stored state stands.
 *
 * @throws TurnClosed when another loop has the turn, Aborted when it was stopped without being cancelled
 */
export async function runTurn(deps: TurnDeps, cancel: AbortSignal): Promise<void> {
  const { store, now } = deps;
  for (;;) {
    const state = store.state();
    const step = nextStep(state, now());
    try {
      switch (step.do) {
        case "call_model":
          if (step.path !== state.path) store.usePath(step.path);
          await callModel(deps, cancel);
          break;
        case "wait":
          await sleep(step.until - now(), cancel);
          break;
        case "wait_for_answers":
          store.wait();
          return;
        case "steer":
          store.steer();
          break;
        case "run_tools":
          await runTools(deps, step.calls, cancel);
          break;
        case "apply_calls":
          await applyCalls(deps, step.calls);
          break;
        case "interrupt_tools":
          interruptTools(deps, step.calls);
          break;
        case "finish":
          store.finish(step.end);
          return;
      }
    } catch (thrown) {
      // A cancel interrupts what was awaited, and nothing else; the stored mark then decides, like everything else.
      if (!(thrown instanceof Aborted) || !store.state().cancelled) throw thrown;
    }
    if (store.ended) return;
  }
}
