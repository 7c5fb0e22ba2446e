import type { Sql } from "../engine/ports.ts";
import type { EventLog } from "./event-log.ts";
import { requestOf, type TurnRow, updateTurn } from "./turn-table.ts";

export type CountedStartsOptions = {
  sql: Sql;
  log: EventLog;
  now(): number;
  /** See `TurnQueueOptions`. */
  onStart(userInput: string): () => void;
};

/** How often the host was started and found a turn that had lost its loop: it may be the turn that ends the host. */
export class CountedStarts {
  readonly #options: CountedStartsOptions;
  /** The turn of which a start was counted. */
  #counted: string | null = null;

  constructor(options: CountedStartsOptions) {
    this.#options = options;
  }

  /** Discards the blocks of the turn's last step, and counts the start. */
  recover(turn: TurnRow): void {
    const { sql, log, now, onStart } = this.#options;
    // A turn that waits to ask the model again does nothing that could have ended the host, however long it waits.
    const waits = turn.retry_at !== null && turn.retry_at > now();
    log.commit(
      (writer) => {
        const discard = writer.discardBlocks(turn.first_seq ?? 1);
        writer.append({ type: "STATUS", data: { status: "resumed", discard } }, turn.turn_id);
        updateTurn(sql, turn.turn_id, waits ? {} : { starts: turn.starts + 1 });
        return onStart(requestOf(turn).user_input);
      },
      (started) => started(),
    );
    this.#counted = waits ? null : turn.turn_id;
  }

  /** Takes the count of the last start back. */
  forgive({ turn_id, starts }: TurnRow): void {
    if (turn_id !== this.#counted) return;
    if (starts > 0) updateTurn(this.#options.sql, turn_id, { starts: starts - 1 });
    this.#counted = null;
  }
}
