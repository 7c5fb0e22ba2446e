import type { Sql } from "../engine/ports.ts";
import { GatewayError } from "../protocol/errors.ts";
import { PAGE_MAX_CHARS } from "../protocol/limits.ts";
import type { Turn, TurnPage } from "../protocol/rest.ts";
import type { PageRequest } from "./session-api.ts";
import { findTurn, type TurnRow, turnsBefore } from "./turn-table.ts";

/**
 * Turns as the API shows them, newest first; the cursor is the last turn's id. A page ends early where its turns are large.
 *
 * @throws GatewayError `bad_cursor`
 */
export function pageOfTurns(sql: Sql, { limit, cursor }: PageRequest, view: (row: TurnRow) => Turn): TurnPage {
  if (cursor !== null && findTurn(sql, cursor) === undefined) {
    throw new GatewayError("bad_cursor", "The cursor is malformed.");
  }
  const turns: Turn[] = [];
  let chars = 0;
  for (const row of turnsBefore(sql, cursor)) {
    if (turns.length === limit || chars > PAGE_MAX_CHARS) {
      return { turns, next_cursor: turns.at(-1)?.turn_id ?? null };
    }
    const turn = view(row);
    chars += JSON.stringify(turn).length;
    turns.push(turn);
  }
  return { turns, next_cursor: null };
}
