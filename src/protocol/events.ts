import * as z from "zod";
import { inputId, sessionId, turnId } from "./ids.ts";
import { json } from "./json.ts";

/** A point in time as it stands on the wire: UTC with milliseconds. */
export const time = z.iso.datetime({ precision: 3 });

/** Milliseconds since the epoch as they stand on the wire. */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString();
}

export const usage = z.strictObject({
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
});
export type Usage = z.infer<typeof usage>;

export const NO_USAGE: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
};

/** How a turn can end. */
export const endStatus = z.enum(["complete", "failed", "cancelled", "refused", "max_iterations", "budget_exceeded"]);
export type EndStatus = z.infer<typeof endStatus>;

export const metadata = z.record(z.string(), json);
export type Metadata = z.infer<typeof metadata>;

const seq = z.int().min(1);

export const statusData = z.discriminatedUnion("status", [
  z.strictObject({ status: z.literal("queued"), turn_id: turnId, text: z.string(), position: z.int() }),
  z.strictObject({ status: z.literal("processing"), iteration: z.int(), path: z.enum(["fast", "complex"]) }),
  z.strictObject({
    status: z.literal("retrying"),
    attempt: z.int(),
    code: z.string(),
    delay_seconds: z.number(),
    discard: z.array(seq),
  }),
  z.strictObject({ status: z.literal("resumed"), discard: z.array(seq) }),
  /** A message joined the turn while it ran. */
  z.strictObject({ status: z.literal("steered"), text: z.string() }),
  /** The turn goes on when these are answered, and these calls of clients' tools have results. */
  z.strictObject({
    status: z.literal("waiting"),
    input_ids: z.array(inputId),
    tool_use_ids: z.array(z.string()).optional(),
  }),
  /**
   * Settled for everyone. `response` may be cut; null where the time was up for a question. `user_id` is who answered, or
   * who made the link that was answered by; null where the time was up.
   */
  z.strictObject({
    status: z.literal("answered"),
    input_id: inputId,
    response: z.string().nullable(),
    user_id: z.string().nullable(),
    via: z.enum(["token", "link", "deadline"]),
  }),
  /** The model is shown less of what came before; the log keeps all of it. */
  z.strictObject({
    status: z.literal("made_room"),
    by: z.enum(["gateway", "model"]),
    /** Tool results that are left out of requests from now on. */
    cleared_results: z.int().optional(),
    /** Turns that a summary stands for from now on. */
    summarised_turns: z.int().optional(),
  }),
  z.strictObject({ status: z.literal("file_changed"), path: z.string(), sha256: z.string().nullable() }),
  z.strictObject({ status: z.literal("deleted") }),
]);

/** A block's characters from `offset` on; `done` says that they have ended, `discarded` that the step was dropped. */
const blockState = {
  offset: z.int(),
  done: z.boolean(),
  discarded: z.literal(true).optional(),
};

/** The types and the data of each event of the log. */
const eventData = {
  SESSION_INFO: z.strictObject({
    session_id: sessionId,
    user_id: z.string(),
    workspace: z.string(),
    model: z.string(),
  }),
  USER_INPUT: z.strictObject({ text: z.string(), user_id: z.string(), metadata }),
  STATUS: statusData,
  TEXT: z.strictObject({ text: z.string(), ...blockState, citations: z.array(json).optional() }),
  THINKING: z.strictObject({ thinking: z.string(), ...blockState, redacted: z.literal(true).optional() }),
  TOOL_CALL: z.strictObject({
    id: z.string(),
    name: z.string(),
    input: json,
    executor: z.enum(["gateway", "client", "model"]),
    time_offset: z.number(),
  }),
  TOOL_RESULT: z.strictObject({
    tool_use_id: z.string(),
    is_error: z.boolean(),
    content_preview: z.string(),
    content_size: z.int(),
    duration_seconds: z.number(),
    time_offset: z.number(),
  }),
  AUTH_REQUIRED: z.strictObject({
    input_id: inputId,
    kind: z.enum(["approval", "question", "link"]),
    message: z.string(),
    tool_use_id: z.string(),
    options: z.array(z.string()).optional(),
    auth_link: z.string().optional(),
    expires_at: time,
    default: z.enum(["allow", "deny"]).nullable(),
  }),
  WORK_PRODUCT: z.strictObject({
    path: z.string(),
    workspace_path: z.string(),
    size: z.int(),
    content_type: z.string(),
    sha256: z.string(),
    url: z.string(),
  }),
  ERROR: z.strictObject({
    message: z.string(),
    error: z.string(),
    code: z.string(),
    retryable: z.boolean(),
    discard: z.array(seq).optional(),
  }),
  ITERATION_END: z.strictObject({
    status: endStatus,
    stop_reason: z.string().nullable(),
    stop_details: json,
    tool_calls: z.int(),
    duration_seconds: z.number(),
    usage,
    trace_id: z.string(),
  }),
} as const;

export const eventType = z.object(eventData).keyof();
export type EventType = z.infer<typeof eventType>;
export const EVENT_TYPES = eventType.options;

const envelope = { seq, cursor: z.string(), turn_id: turnId.nullable(), timestamp: time };

const eventOf = <T extends EventType>(type: T) =>
  z.strictObject({ ...envelope, type: z.literal(type), data: eventData[type] });

/** One event of the log, as it stands on every surface. */
export const event = z.discriminatedUnion("type", [
  eventOf("SESSION_INFO"),
  eventOf("USER_INPUT"),
  eventOf("STATUS"),
  eventOf("TEXT"),
  eventOf("THINKING"),
  eventOf("TOOL_CALL"),
  eventOf("TOOL_RESULT"),
  eventOf("AUTH_REQUIRED"),
  eventOf("WORK_PRODUCT"),
  eventOf("ERROR"),
  eventOf("ITERATION_END"),
]);
export type Event = z.infer<typeof event>;
export type EventOf<T extends EventType> = Extract<Event, { type: T }>;
export type EventData<T extends EventType> = EventOf<T>["data"];

/** An event before it has its place in the log. */
export type NewEvent = { [T in EventType]: { type: T; data: EventData<T> } }[EventType];
