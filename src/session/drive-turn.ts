import { Aborted } from "../engine/abortable.ts";
import { runTurn } from "../engine/run-turn.ts";
import type { TurnDeps } from "../engine/turn-deps.ts";
import { TurnClosed } from "../engine/turn-store.ts";
import { logError } from "../logging/log.ts";
import type { StoredTurn } from "./stored-turn.ts";

/**
 * Runs a turn until it has ended, or was stopped; what nobody foresaw ends it as failed. Never throws.
 *
 * @param isStopped whether the turn is to go on another time
 */
export async function driveTurn(
  turn: StoredTurn,
  openDeps: () => Omit<TurnDeps, "store">,
  signal: AbortSignal,
  isStopped: () => boolean,
): Promise<void> {
  try {
    await runTurn({ store: turn, ...openDeps() }, signal);
  } catch (thrown) {
    if (isStopped() || thrown instanceof TurnClosed || thrown instanceof Aborted) return;
    logError("turn", thrown);
    const error = { code: "internal", message: "Something went wrong in the gateway.", retryable: false };
    try {
      turn.finish({ status: "failed", stopReason: null, stopDetails: null, error });
    } catch (again) {
      // The heartbeat starts the turn once more, and counts that it did.
      logError("turn", again);
    }
  }
}
