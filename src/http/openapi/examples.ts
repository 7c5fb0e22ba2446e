/** One example of each body, answer and frame, by the name of its schema. */
const session_id = "session_01K6D0000000000000000000SN";
const turn_id = "turn_01K6D0000000000000000000TN";
const input_id = "input_01K6D0000000000000000000QN";
const token_id = "token_01K6D0000000000000000000KN";
const tool_use_id = "toolu_01A09q90qw90lq917835lq9";
const timestamp = "2026-10-01T12:00:00.000Z";
const later = "2026-10-01T12:00:04.250Z";
const trace_id = "0199b400000000000000000000000355";
const sha256 = "d9014c4624844aa5bac314773d6b689ad467fa4e1d1a50a1b8a99d5a95f72ff5";

const usage = { input_tokens: 812, output_tokens: 64, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
// No cost: a gateway without prices takes none.
const budget = { tokens: 100_000, seconds: 600 };

const session = {
  session_id,
  user_id: "ann",
  title: "A haiku",
  status: "idle",
  workspace_dir: `sessions/${session_id}`,
  model: "claude-sonnet-4-5",
  metadata: { channel: "C024BE91L" },
  created_at: timestamp,
  updated_at: later,
  last_seq: 6,
  active_turn: null,
  queued_turns: [],
  pending_inputs: [],
};
const turnResult = {
  turn_id,
  session_id,
  status: "complete",
  response_text: "It is in work_products/haiku.md.",
  tool_calls: 1,
  work_products: ["work_products/haiku.md"],
  usage,
  trace_id,
  duration_seconds: 4.25,
  cursor: "12",
  pending_inputs: [],
};
const user_input = "Write a haiku about tides to work_products/haiku.md";
const turn = { ...turnResult, user_input, metadata: {}, created_at: timestamp };
const textEvent = {
  seq: 8,
  cursor: "8",
  type: "TEXT",
  turn_id,
  timestamp,
  data: { text: "It is in work_products/haiku.md.", offset: 0, done: true },
};
const fileInfo = {
  path: "work_products/haiku.md",
  size: 14,
  content_type: "text/markdown; charset=utf-8",
  sha256,
  modified_at: timestamp,
};
const usageSums = {
  turns: 3,
  model_calls: 7,
  tool_calls: 4,
  ...usage,
  cost_usd: 0.0123,
  unpriced_calls: 0,
};
const tokenInfo = {
  token_id,
  name: "the bot in #help",
  user_id: "ann",
  scopes: ["read", "write"],
  created_at: timestamp,
  expires_at: null,
  revoked_at: null,
};

export const EXAMPLES: Readonly<Record<string, unknown>> = {
  Health: { status: "healthy", version: "0.1.0", model: "claude-sonnet-4-5", checks: { d1: "ok", r2: "ok" } },
  Session: session,
  SessionPage: { sessions: [session], next_cursor: null },
  CreateSessionBody: {
    title: "A haiku",
    permissions: { "*": "allow", delete: "ask" },
    budget,
    metadata: { channel: "C024BE91L" },
  },
  PatchSessionBody: { title: "Two haiku", budget: null },
  Turn: turn,
  TurnPage: { turns: [turn], next_cursor: null },
  TurnResult: turnResult,
  SubmitTurnBody: { user_input, on_busy: "enqueue" },
  AcceptedTurn: { turn_id, session_id, status: "running", cursor: "0" },
  CancelBody: { turn_id },
  Cancelled: { turn_id },
  Input: {
    input_id,
    turn_id,
    kind: "approval",
    message: "Delete notes.md?",
    tool_use_id,
    tool: "delete",
    tool_input: { path: "notes.md" },
    expires_at: "2026-10-08T12:00:00.000Z",
    default: "deny",
    status: "pending",
    response: null,
  },
  InputResponseBody: { response: "allow" },
  AnsweredInput: { input_id, turn_id, response: "allow" },
  LinkBody: { expires_in_seconds: 3_600 },
  InputLink: {
    url: "https://turnpike.example.org/answer/WyJhbm4i.c2lnbmF0dXJl",
    expires_at: "2026-10-01T13:00:00.000Z",
  },
  ToolResultBody: { content: "The lamp is on." },
  TakenToolResult: { tool_use_id, turn_id },
  EventPage: { events: [textEvent], next_cursor: null, cursor: "8" },
  Event: textEvent,
  FileInfo: fileInfo,
  FilePage: { files: [fileInfo], next_cursor: null },
  UsageReport: {
    from: "2026-09-02T00:00:00.000Z",
    to: "2026-10-02T00:00:00.000Z",
    group_by: "day",
    usage: [{ ...usageSums, key: "2026-10-01" }],
    total: usageSums,
    next_cursor: null,
  },
  CreateTokenBody: { name: "the bot in #help", user_id: "ann", scopes: ["read", "write"] },
  CreatedToken: {
    ...tokenInfo,
    token: `turnpike_${token_id.slice("token_".length)}_${"it-is-shown-this-once-".repeat(2).slice(0, 43)}`,
  },
  TokenInfo: tokenInfo,
  TokenPage: { tokens: [tokenInfo], next_cursor: null },
  TicketBody: { scopes: ["read"] },
  Ticket: { ticket: "WyJhbm4i.c2lnbmF0dXJl", expires_at: "2026-10-01T12:01:00.000Z" },
  ExecuteFrame: { type: "execute", data: { user_input, idempotency_key: "a-1" }, id: 1 },
  CancelFrame: { type: "cancel" },
  InputResponseFrame: { type: "input_response", data: { input_id, response: "allow" } },
  ToolResultFrame: { type: "tool_result", data: { tool_use_id, content: "The lamp is on." } },
  AckFrame: { type: "ack", data: { cursor: "12" } },
  PingFrame: { type: "ping" },
  ConnectedFrame: {
    type: "connected",
    data: { session_id, workspace_dir: `sessions/${session_id}`, cursor: "12" },
    timestamp,
  },
  AcceptedFrame: { type: "accepted", data: { turn_id, status: "running" }, id: 1 },
  QueryCompleteFrame: { type: "query_complete", data: turnResult, id: 1 },
  ErrorFrame: { type: "error", data: { code: "session_busy", message: "A turn is running." }, id: 1 },
  PongFrame: { type: "pong" },
};
