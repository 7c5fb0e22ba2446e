import type { Sql, SqlRow } from "../engine/ports.ts";

/** How room was made in the model's context. It is the session's, and one row; the log and `messages` stay whole. */
export type ContextRow = {
  /** Tool results of the messages up to this id are cleared in requests. */
  cleared_to: number;
  /** `summary` stands for the messages up to this id in requests. */
  summarised_to: number;
  summary: string | null;
  /** The model that wrote the summary. */
  model: string | null;
  /** How many results the model's server was last seen to clear by itself, as clients were told. */
  cleared_by_model: number;
};

const WHOLE: ContextRow = { cleared_to: 0, summarised_to: 0, summary: null, model: null, cleared_by_model: 0 };

export function readContext(sql: Sql): ContextRow {
  const [row] = sql.exec<ContextRow & SqlRow>(
    "SELECT cleared_to, summarised_to, summary, model, cleared_by_model FROM context",
  );
  return row ?? WHOLE;
}

export function writeContext(sql: Sql, change: Partial<ContextRow>): void {
  const { cleared_to, summarised_to, summary, model, cleared_by_model } = { ...readContext(sql), ...change };
  sql.exec(
    `INSERT OR REPLACE INTO context (id, cleared_to, summarised_to, summary, model, cleared_by_model)
     VALUES (1, ?, ?, ?, ?, ?)`,
    cleared_to,
    summarised_to,
    summary,
    model,
    cleared_by_model,
  );
}
