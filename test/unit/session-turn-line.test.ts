import { expect, test } from "vitest";
import type { Settings } from "../../src/session/settings.ts";
import { type EndedTurn, turnFields } from "../../src/session/turn-line.ts";
import type { TurnRow } from "../../src/session/turn-table.ts";

const USAGE = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 };
const of = (cost_usd: number | null) => ({ calls: 1, usage: USAGE, cost_usd });

const row: TurnRow = {
  turn_id: "turn_01ARZ3NDEKTSV4RRFFQ69G5FAV",
  position: 1,
  status: "complete",
  waited: 0,
  request: '{"user_input":"secret"}',
  user_id: "ann",
  cursor: "0",
  created_at: 0,
  started_at: 1_000,
  ended_at: 3_500,
  first_seq: 1,
  last_seq: 9,
  model: "claude-x",
  fast_model: null,
  system: "secret",
  path: "complex",
  model_calls: 2,
  tool_calls: 1,
  attempt: 1,
  retry_at: null,
  raised_max_tokens: 0,
  make_room: 0,
  starts: 0,
  cancelled: 0,
  omitted: 0,
  usage: JSON.stringify(USAGE),
  spent: null,
  paused_at: null,
  paused_ms: null,
};
const settings: Settings = {
  session_id: "session_01ARZ3NDEKTSV4RRFFQ69G5FAV",
  user_id: "ann",
  model: "claude-x",
  fast_model: null,
  system: null,
  max_iterations: 20,
  metadata: { a: "secret" },
  title: "secret",
  space_id: "space_01ARZ3NDEKTSV4RRFFQ69G5FAV",
  created_at: 0,
  changed_at: 0,
  revision: 0,
};

function fieldsOf(turn: Partial<TurnRow>, end: Partial<EndedTurn["end"]> = {}) {
  const ended = { stopReason: "end_turn", stopDetails: null, error: null, ...end };
  return turnFields({ turn: { ...row, ...turn }, end: ended, settings, prices: {} });
}

test("[SEE2] the line of a turn has its models, what it used of all of them, and what it cost where that is known", () => {
  const priced = { spent: JSON.stringify({ fast: of(0.25), "claude-x": of(0.5) }) };
  expect(fieldsOf(priced)).toEqual({
    trace_id: "01563e3ab5d3d6764c61efb99302bd5b",
    session_id: settings.session_id,
    turn_id: row.turn_id,
    user_id: "ann",
    status: "complete",
    stop_reason: "end_turn",
    code: undefined,
    models: ["fast", "claude-x"],
    model_calls: 2,
    tool_calls: 1,
    duration_seconds: 2.5,
    ...USAGE,
    cost_usd: 0.75,
  });
  expect(fieldsOf({ spent: JSON.stringify({ fast: of(0.25), "claude-x": of(null) }) })).toMatchObject({
    cost_usd: null,
  });
  expect(fieldsOf({ usage: null, started_at: null })).toMatchObject({ models: ["claude-x"], duration_seconds: 0 });
});

test("[SEE2] what does not look like a model, a reason or a code is not shown", () => {
  const error = { code: "sk-secret", message: "secret", retryable: false };
  const line = fieldsOf({ model: "my secret", usage: null }, { stopReason: "my secret", stopDetails: "secret", error });
  expect(line).toMatchObject({ models: ["other"], stop_reason: "other", code: "other" });
  expect(JSON.stringify(line)).not.toContain("secret");
  expect(fieldsOf({}, { stopReason: null, error: { ...error, code: "overloaded_error" } })).toMatchObject({
    stop_reason: null,
    code: "overloaded_error",
  });
});
