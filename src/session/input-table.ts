import type { Sql, SqlRow } from "../engine/ports.ts";

/**
 * One row of `inputs`: what a tool call needs of somebody. `approval`: whether it may run; `question`: its result, of a
 * person; `tool`: its result, of a client.
 */
export type InputRow = {
  message_id: number;
  position: number;
  kind: "approval" | "question" | "tool";
  input_id: string;
  asked_at: number;
  expires_at: number;
  /** What an approval comes to when nobody answers. */
  fallback: "allow" | "deny" | null;
  /** Null until it is settled, and where its call was closed for another reason. */
  response: string | null;
  /** Who answered; null where the time was up. */
  user_id: string | null;
};

export function insertInput(sql: Sql, input: Omit<InputRow, "response" | "user_id">): void {
  const { message_id, position, kind, input_id, asked_at, expires_at, fallback } = input;
  sql.exec(
    "INSERT INTO inputs (message_id, position, kind, input_id, asked_at, expires_at, fallback) VALUES (?, ?, ?, ?, ?, ?, ?)",
    message_id,
    position,
    kind,
    input_id,
    asked_at,
    expires_at,
    fallback,
  );
}

/** The calls of a message that wait for someone, if they are not closed. */
export function waitingPositions(sql: Sql, messageId: number): ReadonlySet<number> {
  const rows = sql.exec<{ position: number }>(
    "SELECT position FROM inputs WHERE message_id = ? AND response IS NULL",
    messageId,
  );
  return new Set(rows.map(({ position }) => position));
}

/** What the open calls of a message wait for, in their order. */
export function pendingInputs(sql: Sql, messageId: number): InputRow[] {
  return sql.exec<InputRow & SqlRow>(
    `SELECT i.* FROM inputs i JOIN tool_calls c ON c.message_id = i.message_id AND c.position = i.position
     WHERE i.message_id = ? AND i.response IS NULL AND c.status <> 'closed' ORDER BY i.position`,
    messageId,
  );
}

/** Looks at all that was ever asked in the session: for what somebody asks about, not for what a turn does. */
export function findInput(sql: Sql, inputId: string): InputRow | null {
  return sql.exec<InputRow & SqlRow>("SELECT * FROM inputs WHERE input_id = ?", inputId)[0] ?? null;
}

export function findToolInput(sql: Sql, messageId: number, position: number): InputRow | null {
  const [row] = sql.exec<InputRow & SqlRow>(
    "SELECT * FROM inputs WHERE message_id = ? AND position = ? AND kind = 'tool'",
    messageId,
    position,
  );
  return row ?? null;
}

/** Settled by an answer, or by an approval's fallback. */
export function settleInput(sql: Sql, input: InputRow, response: string, userId: string | null): void {
  const { message_id, position, kind } = input;
  sql.exec(
    "UPDATE inputs SET response = ?, user_id = ? WHERE message_id = ? AND position = ? AND kind = ?",
    response,
    userId,
    message_id,
    position,
    kind,
  );
}
