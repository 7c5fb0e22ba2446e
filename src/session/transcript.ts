import { type ContentBlock, contentBlock } from "../engine/messages.ts";
import type { Sql, SqlRow, ToolResultContent } from "../engine/ports.ts";
import type { Step, ToolOutcome, ToolUse, TranscriptEntry } from "../engine/turn-store.ts";
import { firstChars } from "../protocol/first-chars.ts";
import type { Json } from "../protocol/json.ts";
import { PREVIEW_MAX_CHARS } from "../protocol/limits.ts";
import { waitingPositions } from "./input-table.ts";

/**
 * One row of `tool_calls`. `unreadable`: open, and its input is no JSON object. `invalid`: open, and there was no such tool
 * when it was made, or the tool did not take its input. `applying`: decided, and `result` holds
 * what is pending instead of the result.
 */
export type CallRow = {
  message_id: number;
  position: number;
  tool_use_id: string;
  name: string;
  status: "open" | "unreadable" | "invalid" | "started" | "applying" | "closed";
  stage_id: string | null;
  result: string | null;
  is_error: number | null;
};

type MessageRow = {
  id: number;
  turn_id: string;
  role: "user" | "assistant";
  content: string;
  model: string | null;
  stop_reason: string | null;
  stop_details: string | null;
};

export type LastMessage = {
  messageId: number;
  stopReason: string | null;
  stopDetails: Json;
  /** A text of the user's has come after it. */
  followed: boolean;
  calls: CallRow[];
  /** The calls as the model made them, in the order of `calls`. */
  uses: ToolUse[];
  /** The positions of calls that wait for someone. */
  waiting: ReadonlySet<number>;
};

const blocks = contentBlock.array();

/** The last assistant message of the running turn, whose messages are the last of all; null before its first. */
export function lastMessage(sql: Sql, turnId: string): LastMessage | null {
  const [row] = sql.exec<MessageRow & { newest: number }>(
    "SELECT *, (SELECT MAX(id) FROM messages) AS newest FROM messages WHERE role = 'assistant' ORDER BY id DESC LIMIT 1",
  );
  if (row === undefined || row.turn_id !== turnId) return null;
  const calls = callsOf(sql, row.id);
  const stopDetails: Json = row.stop_details === null ? null : JSON.parse(row.stop_details);
  return {
    messageId: row.id,
    stopReason: row.stop_reason,
    stopDetails,
    followed: row.newest !== row.id,
    calls,
    uses: usesOf(calls, row.content),
    waiting: calls.length === 0 ? new Set() : waitingPositions(sql, row.id),
  };
}

/** A call as it is stored, as the model made it, and the turn that it belongs to. */
export type FoundCall = { call: CallRow; use: ToolUse; turnId: string };

/** The calls of a message, in their order; none for one that is not stored. */
export function findCalls(sql: Sql, messageId: number): FoundCall[] {
  const [row] = sql.exec<MessageRow & SqlRow>("SELECT * FROM messages WHERE id = ?", messageId);
  if (row === undefined) return [];
  const calls = callsOf(sql, messageId);
  const uses = usesOf(calls, row.content);
  return calls.flatMap((call, i) => {
    const use = uses[i];
    return use === undefined ? [] : [{ call, use, turnId: row.turn_id }];
  });
}

/** @throws for a call that is not stored */
export function findCall(sql: Sql, messageId: number, position: number): FoundCall {
  const found = findCalls(sql, messageId)[position];
  if (found === undefined) throw new Error("a tool call is not stored");
  return found;
}

/** The last call that had this id, which a model may give again; null where none had. */
export function findCallPlace(sql: Sql, toolUseId: string): CallPlace | null {
  const [row] = sql.exec<{ message_id: number; position: number }>(
    "SELECT message_id, position FROM tool_calls WHERE tool_use_id = ? ORDER BY message_id DESC, position DESC LIMIT 1",
    toolUseId,
  );
  return row === undefined ? null : { messageId: row.message_id, position: row.position };
}

function callsOf(sql: Sql, messageId: number): CallRow[] {
  return sql.exec<CallRow & SqlRow>("SELECT * FROM tool_calls WHERE message_id = ? ORDER BY position", messageId);
}

/** The calls as the model made them. */
function usesOf(calls: CallRow[], content: string): ToolUse[] {
  const inputs = parseBlocks(content).flatMap((block) => (block.type === "tool_use" ? [block["input"]] : []));
  return calls.map(({ tool_use_id, name, status, position }) => ({
    id: tool_use_id,
    name,
    input: status === "unreadable" ? undefined : inputs[position],
    ...(status === "invalid" ? { invalid: true as const } : {}),
  }));
}

export function insertUserMessage(sql: Sql, turnId: string, text: string): void {
  const content = JSON.stringify([{ type: "text", text }]);
  sql.exec("INSERT INTO messages (turn_id, role, content) VALUES (?, 'user', ?)", turnId, content);
}

/** Stores a message of the model's with its calls, which are all still to be run, and gives its id. An empty message is none. */
export function insertModelMessage(sql: Sql, turnId: string, step: Step): number | null {
  if (step.content.length === 0) return null;
  const [message] = sql.exec<{ id: number }>(
    "INSERT INTO messages (turn_id, role, content, model, stop_reason, stop_details) VALUES (?, 'assistant', ?, ?, ?, ?) RETURNING id",
    turnId,
    JSON.stringify(step.content),
    step.model,
    step.stopReason,
    JSON.stringify(step.stopDetails),
  );
  if (message === undefined) return null;
  insertCalls(sql, message.id, step.calls);
  return message.id;
}

export type CallPlace = { messageId: number; position: number };

export function markCallStarted(sql: Sql, { messageId, position }: CallPlace, stageId: string): void {
  sql.exec(
    "UPDATE tool_calls SET status = 'started', stage_id = ? WHERE message_id = ? AND position = ?",
    stageId,
    messageId,
    position,
  );
}

/** The call gets its error result and nothing else, whatever is known of it later. */
export function markCallInvalid(sql: Sql, { messageId, position }: CallPlace): void {
  sql.exec("UPDATE tool_calls SET status = 'invalid' WHERE message_id = ? AND position = ?", messageId, position);
}

/** The outcome of a call whose changes have yet to be applied, and what is to be done for them. */
type Applying = { outcome: ToolOutcome; redo: Json };

export function markCallApplying(sql: Sql, { messageId, position }: CallPlace, applying: Applying): void {
  sql.exec(
    "UPDATE tool_calls SET status = 'applying', result = ? WHERE message_id = ? AND position = ?",
    JSON.stringify(applying),
    messageId,
    position,
  );
}

/** Null for a call that is not being applied. */
export function applyingOf(call: CallRow | undefined): Applying | null {
  // Written by `markCallApplying` and by nothing else.
  return call?.status === "applying" && call.result !== null ? JSON.parse(call.result) : null;
}

/** What calls have decided to do to files outside the database and have not told of yet. */
export function redosOf(sql: Sql): Json[] {
  const calls = sql.exec<CallRow & SqlRow>("SELECT * FROM tool_calls WHERE status = 'applying'");
  return calls.flatMap((call) => applyingOf(call)?.redo ?? []);
}

export function markCallClosed(
  sql: Sql,
  { messageId, position }: CallPlace,
  { content, isError }: { content: ToolResultContent; isError: boolean },
): void {
  sql.exec(
    "UPDATE tool_calls SET status = 'closed', result = ?, is_error = ? WHERE message_id = ? AND position = ?",
    JSON.stringify(resultContent(content)),
    isError ? 1 : 0,
    messageId,
    position,
  );
}

function insertCalls(sql: Sql, messageId: number, calls: ToolUse[]): void {
  calls.forEach(({ id, name, input }, position) => {
    const status = input === undefined ? "unreadable" : "open";
    sql.exec(
      "INSERT INTO tool_calls (message_id, position, tool_use_id, name, status) VALUES (?, ?, ?, ?, ?)",
      messageId,
      position,
      id,
      name,
      status,
    );
  });
}

/** What the model is to see of the messages after one, 0 for all: those of exchanges that are left out are not among them. */
export function readTranscript(sql: Sql, after: number): TranscriptEntry[] {
  const results = new Map<number, ContentBlock[]>();
  const calls = sql.exec<CallRow & SqlRow>(
    "SELECT * FROM tool_calls WHERE message_id > ? ORDER BY message_id, position",
    after,
  );
  for (const call of calls) {
    const list = results.get(call.message_id) ?? [];
    list.push(resultBlock(call));
    results.set(call.message_id, list);
  }
  const rows = sql.exec<MessageRow & SqlRow>(
    "SELECT m.* FROM messages m JOIN turns t ON t.turn_id = m.turn_id WHERE t.omitted = 0 AND m.id > ? ORDER BY m.id",
    after,
  );
  return rows.map(({ id, turn_id, role, content, model }) => ({
    messageId: id,
    turnId: turn_id,
    role,
    content: parseBlocks(content),
    model,
    results: results.get(id) ?? [],
  }));
}

function resultBlock({ tool_use_id, result, is_error }: CallRow): ContentBlock {
  const content: unknown = result === null ? "" : JSON.parse(result);
  return { type: "tool_result", tool_use_id, content, ...(is_error === 1 ? { is_error: true } : {}) };
}

function parseBlocks(text: string): ContentBlock[] {
  return blocks.parse(JSON.parse(text));
}

/** A result as the API takes it: an empty one is refused as text, so it says that it is empty. */
export function resultContent(content: ToolResultContent): ToolResultContent {
  return content === "" ? "(no output)" : content;
}

/** What TOOL_RESULT shows of a result; sizes count UTF-16 code units. */
export function previewOf(content: ToolResultContent): { content_preview: string; content_size: number } {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return { content_preview: firstChars(text, PREVIEW_MAX_CHARS).toWellFormed(), content_size: text.length };
}
