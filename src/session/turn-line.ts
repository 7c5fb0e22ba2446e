import type { TurnEnd } from "../engine/next-step.ts";
import { type LogFields, log, logError } from "../logging/log.ts";
import { traceIdOf } from "../protocol/ids.ts";
import type { Prices } from "../protocol/prices.ts";
import { shownModel, shownWord } from "../protocol/shown-word.ts";
import type { Settings } from "./settings.ts";
import { spendingOf, spentOf } from "./spending.ts";
import { type TurnRow, usageOf } from "./turn-table.ts";

/** A turn that has ended, and how. */
export type EndedTurn = { turn: TurnRow; end: Omit<TurnEnd, "status">; settings: Settings; prices: Prices };

/** Writes the one line of a turn's end. Never throws: what has ended has ended. */
export function logTurn(ended: EndedTurn): void {
  try {
    log("info", "turn", turnFields(ended));
  } catch (thrown) {
    logError("the line of a turn", thrown);
  }
}

/** What the line says: nothing of what was said in the turn. */
export function turnFields({ turn, end, settings, prices }: EndedTurn): LogFields {
  const { turn_id, user_id, status, model_calls, tool_calls, started_at, ended_at } = turn;
  const spending = Object.keys(spendingOf(turn, prices));
  const models = spending.length > 0 ? spending : [turn.model ?? settings.model];
  return {
    trace_id: traceIdOf(turn_id),
    session_id: settings.session_id,
    turn_id,
    user_id,
    status,
    stop_reason: shownWord(end.stopReason),
    code: shownWord(end.error?.code ?? null) ?? undefined,
    models: models.map(shownModel),
    model_calls,
    tool_calls,
    duration_seconds: started_at === null || ended_at === null ? 0 : (ended_at - started_at) / 1_000,
    ...usageOf(turn),
    cost_usd: spentOf(turn, prices, ended_at ?? 0).cost_usd,
  };
}
