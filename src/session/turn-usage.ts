import type { Sql, SqlRow } from "../engine/ports.ts";
import { USAGE_PART_TURNS } from "../protocol/limits.ts";
import type { TurnUsage } from "../protocol/usage.ts";
import { upgradeTables } from "./schema.ts";
import { deletingSince, readMeta, readSettings, type Settings } from "./settings.ts";
import { spendingOf } from "./spending.ts";
import type { TurnRow } from "./turn-table.ts";

type Session = Pick<Settings, "session_id" | "user_id">;
type Spender = Pick<TurnRow, "turn_id" | "spent" | "usage" | "model" | "model_calls" | "tool_calls">;
type Ended = Spender & { ended_at: number };

const COLUMNS = "turn_id, spent, usage, model, model_calls, tool_calls";

/** `upTo` is the seq of the last end in it, if there may be more; null where there are none. */
type UsagePart = { usage: TurnUsage[]; upTo: number | null };

/** What an ended turn used, a row a model; none for one that used no model. */
export function usageOfTurn(turn: Ended, { session_id, user_id }: Session): TurnUsage[] {
  const { turn_id, ended_at, tool_calls } = turn;
  return Object.entries(spendingOf(turn)).map(([model, { calls, usage, cost_usd }], i) => {
    const whose = { user_id, ended_at, turn_id, model, session_id };
    return { ...whose, model_calls: calls, tool_calls: i === 0 ? tool_calls : 0, ...usage, cost_usd };
  });
}

/**
 * What the turns used that ended after a position of the log, in parts. It reads the events from there on: the turns
 * have no index by their ends, and are many.
 */
export function usageAfter(sql: Sql, seq: number, session: Session): UsagePart {
  const ends = sql.exec<{ seq: number; turn_id: string }>(
    "SELECT seq, turn_id FROM events WHERE seq > ? AND type = 'ITERATION_END' ORDER BY seq LIMIT ?",
    seq,
    USAGE_PART_TURNS,
  );
  const query = `SELECT ${COLUMNS}, ended_at FROM turns WHERE turn_id = ? AND ended_at IS NOT NULL`;
  const turns = ends.flatMap(({ turn_id }) => sql.exec<Ended & SqlRow>(query, turn_id));
  const last = ends.at(-1);
  return {
    usage: turns.flatMap((turn) => usageOfTurn(turn, session)),
    upTo: ends.length < USAGE_PART_TURNS || last === undefined ? null : last.seq,
  };
}

/**
 * Up to which seq turns' ends are known to be in the catalog, or a little less: the version of the index row that they
 * went with is a seq and a revision, which has only grown since.
 */
export function sentUpTo(sql: Sql, { revision }: Pick<Settings, "revision">): number {
  return Math.max(0, Number(readMeta(sql, "indexed") ?? "0") - revision);
}

/**
 * All that a session which is being deleted may not have told of yet, in parts, of which there is at least one. A turn
 * that ran ended with it. Always the same, however often it is asked.
 */
export function* usageLeft(sql: Sql): Generator<TurnUsage[]> {
  // One that an older version began to delete was not opened by this one.
  upgradeTables(sql);
  const settings = readSettings(sql);
  const ended_at = deletingSince(sql);
  if (settings === null || ended_at === null) return;
  const query = `SELECT ${COLUMNS} FROM turns WHERE ended_at IS NULL AND usage IS NOT NULL`;
  const running = sql.exec<Spender & SqlRow>(query);
  let part = usageAfter(sql, sentUpTo(sql, settings), settings);
  yield [...running.flatMap((turn) => usageOfTurn({ ...turn, ended_at }, settings)), ...part.usage];
  while (part.upTo !== null) {
    part = usageAfter(sql, part.upTo, settings);
    if (part.usage.length > 0) yield part.usage;
  }
}
