import * as z from "zod";
import { budget } from "./budget.ts";
import { bytesOf } from "./bytes-of.ts";
import { clientTools } from "./client-tools.ts";
import { GatewayError } from "./errors.ts";
import { type EndStatus, endStatus, event, type Metadata, metadata, time, usage } from "./events.ts";
import { sessionId, turnId } from "./ids.ts";
import {
  INPUT_TIMEOUT_MAX_SECONDS,
  MAX_ITERATIONS_MAX,
  METADATA_MAX_BYTES,
  MODEL_NAME_MAX_CHARS,
  SYSTEM_MAX_CHARS,
  TITLE_MAX_CHARS,
} from "./limits.ts";
import { permissions } from "./permissions.ts";
import { userId } from "./user-id.ts";
import { wellFormedText as text } from "./well-formed-text.ts";

function wellFormed(value: Metadata[string]): Metadata[string] {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  return value !== null && typeof value === "object" ? wellFormedEntries(value) : value;
}

function wellFormedEntries(value: Metadata): Metadata {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]));
}

const metadataInput = metadata
  .overwrite(wellFormedEntries)
  .refine(
    (value) => bytesOf(JSON.stringify(value)) <= METADATA_MAX_BYTES,
    `at most ${METADATA_MAX_BYTES} bytes as JSON`,
  );
const modelName = text().min(1).max(MODEL_NAME_MAX_CHARS);
const title = text().max(TITLE_MAX_CHARS);
const system = text().max(SYSTEM_MAX_CHARS);
const maxIterations = z.int().min(1).max(MAX_ITERATIONS_MAX);

/** The session's permissions count for more than the gateway's, where they are looser: an admin may say so. */
const loosenPermissions = z.boolean();

/** How the session asks people: how long they have, and what becomes of a call that nobody decides on. */
const asking = {
  input_timeout_seconds: z.int().min(1).max(INPUT_TIMEOUT_MAX_SECONDS).optional(),
  input_default: z.enum(["deny", "allow"]).optional(),
};

export const createSessionBody = z.strictObject({
  user_id: userId.optional(),
  workspace_dir: text().optional(),
  model: modelName.optional(),
  fast_model: modelName.optional(),
  system: system.optional(),
  permissions: permissions.optional(),
  loosen_permissions: loosenPermissions.optional(),
  ...asking,
  tools: clientTools.optional(),
  budget: budget.optional(),
  max_iterations: maxIterations.optional(),
  metadata: metadataInput.optional(),
  title: title.optional(),
});
export type CreateSessionBody = z.infer<typeof createSessionBody>;

export const patchSessionBody = z.strictObject({
  title: title.nullable().optional(),
  metadata: metadataInput.optional(),
  model: modelName.optional(),
  fast_model: modelName.nullable().optional(),
  system: system.nullable().optional(),
  permissions: permissions.optional(),
  loosen_permissions: loosenPermissions.optional(),
  input_timeout_seconds: asking.input_timeout_seconds.unwrap().nullable().optional(),
  input_default: asking.input_default.unwrap().nullable().optional(),
  budget: budget.nullable().optional(),
});
export type PatchSessionBody = z.infer<typeof patchSessionBody>;

export const sessionStatus = z.enum(["idle", "queued", "running", "waiting"]);
export type SessionStatus = z.infer<typeof sessionStatus>;

/** What a turn waits for: an answer, or the result of a client's tool. */
export const pendingInput = z.union([
  z.strictObject({ input_id: z.string(), kind: z.enum(["approval", "question", "link"]) }),
  z.strictObject({ tool_use_id: z.string(), kind: z.literal("tool") }),
]);
export type PendingInput = z.infer<typeof pendingInput>;

export const session = z.strictObject({
  session_id: sessionId,
  user_id: z.string(),
  title: z.string().nullable(),
  status: sessionStatus,
  workspace_dir: z.string(),
  model: z.string(),
  metadata,
  created_at: time,
  updated_at: time,
  last_seq: z.int(),
  /** The turn that runs or waits for a person. */
  active_turn: turnId.nullable(),
  /** The turns that wait for their start, in the order in which they will start. */
  queued_turns: z.array(turnId),
  pending_inputs: z.array(pendingInput),
});
export type Session = z.infer<typeof session>;

/** What becomes of a message while a turn runs. */
export const onBusy = z.enum(["enqueue", "reject", "interrupt", "steer"]);
export type OnBusy = z.infer<typeof onBusy>;

export const submitTurnBody = z.strictObject({
  user_input: text(),
  force_complex: z.boolean().optional(),
  metadata: metadataInput.optional(),
  max_iterations: maxIterations.optional(),
  /** The most that this turn may use, within what the session may. */
  budget: budget.optional(),
  on_busy: onBusy.optional(),
});
export type SubmitTurnBody = z.infer<typeof submitTurnBody>;

/** A message must say something. @throws GatewayError `blank_input` */
export function requireInput({ user_input }: SubmitTurnBody): void {
  if (user_input.trim() === "") throw new GatewayError("blank_input", "The user_input holds nothing but white space.");
}

export const turnStatus = z.enum([...endStatus.options, "queued", "running", "waiting"]);
export type TurnStatus = z.infer<typeof turnStatus>;

/** Whether a turn of this status has ended. */
export function hasEnded(status: TurnStatus): status is EndStatus {
  return endStatus.safeParse(status).success;
}

/**
 * The answer to a message that was accepted. `cursor` is the position before the turn's first event. `steered`: the
 * message joins this turn, which ran before.
 */
export const acceptedTurn = z.strictObject({
  turn_id: turnId,
  session_id: sessionId,
  status: turnStatus,
  cursor: z.string(),
  steered: z.literal(true).optional(),
});
export type AcceptedTurn = z.infer<typeof acceptedTurn>;

/** What a turn came to. `cursor` is the position after its last event (while it runs: the log's end). */
export const turnResult = z.strictObject({
  turn_id: turnId,
  session_id: sessionId,
  status: turnStatus,
  response_text: z.string(),
  /** How many tool calls the turn made. */
  tool_calls: z.int(),
  /** Paths under `work_products/`, each once, in the order in which they were first written. */
  work_products: z.array(z.string()),
  usage,
  trace_id: z.string(),
  duration_seconds: z.number(),
  cursor: z.string(),
  pending_inputs: z.array(pendingInput),
});
export type TurnResult = z.infer<typeof turnResult>;

export const turn = turnResult.extend({
  user_input: z.string(),
  metadata,
  created_at: time,
});
export type Turn = z.infer<typeof turn>;

/** The part of a turn that a wait and `query_complete` answer with. */
export function resultOf(turn: Turn): TurnResult {
  return turnResult.strip().parse(turn);
}

export const sessionPage = z.strictObject({ sessions: z.array(session), next_cursor: z.string().nullable() });
export type SessionPage = z.infer<typeof sessionPage>;

export const turnPage = z.strictObject({ turns: z.array(turn), next_cursor: z.string().nullable() });
export type TurnPage = z.infer<typeof turnPage>;

export const eventPage = z.strictObject({
  events: z.array(event),
  /** Where the next page begins; null when this one reaches the log's end. */
  next_cursor: z.string().nullable(),
  /** The position after this page: follow the log live from here. */
  cursor: z.string(),
});
export type EventPage = z.infer<typeof eventPage>;

export const fileInfo = z.strictObject({
  path: z.string(),
  size: z.int(),
  content_type: z.string(),
  sha256: z.string(),
  modified_at: time,
});
export type FileInfo = z.infer<typeof fileInfo>;

export const filePage = z.strictObject({ files: z.array(fileInfo), next_cursor: z.string().nullable() });
export type FilePage = z.infer<typeof filePage>;

/** `turn_id`: cancel this turn and no other. */
export const cancelBody = z.strictObject({ turn_id: turnId.optional() });

export const cancelled = z.strictObject({ turn_id: turnId.nullable() });
export type Cancelled = z.infer<typeof cancelled>;

export const health = z.strictObject({
  status: z.enum(["healthy", "unhealthy"]),
  version: z.string(),
  model: z.string(),
  checks: z.strictObject({ d1: z.enum(["ok", "failed"]), r2: z.enum(["ok", "failed"]) }),
});
export type Health = z.infer<typeof health>;
