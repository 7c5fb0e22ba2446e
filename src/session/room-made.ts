import type { Sql } from "../engine/ports.ts";
import type { Clearing, ModelUse, Summary } from "../engine/turn-store.ts";
import type { EventOf } from "../protocol/events.ts";
import { readContext, writeContext } from "./context-table.ts";
import type { LogWriter } from "./event-log.ts";
import type { TurnRow } from "./turn-table.ts";

type MadeRoom = Omit<Extract<EventOf<"STATUS">["data"], { status: "made_room" }>, "status">;

/** Stores how room was made in the model's context, and tells of it. To be made inside a transaction of the log. */
export class RoomMade {
  /** What changes of a turn: its next call is the first of another request. */
  static readonly PROGRESS = { make_room: 0, attempt: 1, retry_at: null, starts: 0 } satisfies Partial<TurnRow>;
  readonly #sql: Sql;
  readonly #tell: (data: MadeRoom) => void;

  constructor(sql: Sql, writer: LogWriter, turnId: string) {
    this.#sql = sql;
    this.#tell = (data) => writer.append({ type: "STATUS", data: { status: "made_room", ...data } }, turnId);
  }

  clearResults({ upTo, results }: Clearing): void {
    writeContext(this.#sql, { cleared_to: upTo });
    this.#tell({ by: "gateway", cleared_results: results });
  }

  keepSummary({ upTo, turns, text }: Summary, { model }: ModelUse): void {
    // Of the calls whose results the model's server cleared, some are no longer sent.
    writeContext(this.#sql, { summarised_to: upTo, summary: text, model, cleared_by_model: 0 });
    this.#tell({ by: "gateway", summarised_turns: turns });
  }

  /** The model's server clears with each request anew; clients are told when it is more than before. */
  noteClearedByModel(cleared: number): void {
    const before = cleared === 0 ? 0 : readContext(this.#sql).cleared_by_model;
    if (cleared <= before) return;
    writeContext(this.#sql, { cleared_by_model: cleared });
    this.#tell({ by: "model", cleared_results: cleared - before });
  }
}
