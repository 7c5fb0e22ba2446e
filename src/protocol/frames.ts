import * as z from "zod";
import { event, time } from "./events.ts";
import { sessionId, turnId } from "./ids.ts";
import { inputResponseBody, toolResultBody } from "./inputs.ts";
import { FRAME_ID_MAX_CHARS, IDEMPOTENCY_KEY_MAX_CHARS } from "./limits.ts";
import { cancelBody, submitTurnBody, turnResult, turnStatus } from "./rest.ts";

/** An `Idempotency-Key`, as a header or in a frame: visible ASCII. */
export const idempotencyKey = z
  .string()
  .min(1)
  .max(IDEMPOTENCY_KEY_MAX_CHARS)
  .regex(/^[\x21-\x7e]+$/, "visible ASCII characters only");

/**
 * Echoed in the answer to a frame, so that a client can tell its answers apart. A socket remembers the ids of its
 * `execute` frames in the 16 kB that the platform keeps for it, so they are short and of one byte a character.
 */
export const frameIdValue = z.union([
  z
    .string()
    .max(FRAME_ID_MAX_CHARS)
    .regex(/^[\x20-\x7e]*$/, "printable ASCII characters only"),
  z.number(),
]);
const frameId = frameIdValue.optional();

const noData = z.strictObject({}).optional();

/** What a client may send on the WebSocket. */
export const clientFrame = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("execute"),
    data: submitTurnBody.extend({ idempotency_key: idempotencyKey.optional() }),
    id: frameId,
  }),
  z.strictObject({ type: z.literal("cancel"), data: cancelBody.optional(), id: frameId }),
  z.strictObject({
    type: z.literal("input_response"),
    data: inputResponseBody.extend({ input_id: z.string() }),
    id: frameId,
  }),
  z.strictObject({
    type: z.literal("tool_result"),
    data: toolResultBody.extend({ tool_use_id: z.string() }),
    id: frameId,
  }),
  z.strictObject({ type: z.literal("ack"), data: z.strictObject({ cursor: z.string() }), id: frameId }),
  z.strictObject({ type: z.literal("ping"), data: noData, id: frameId }),
]);
export type ClientFrame = z.infer<typeof clientFrame>;

/** What the gateway sends on the WebSocket beside events. */
export const controlFrame = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("connected"),
    data: z.strictObject({ session_id: sessionId, workspace_dir: z.string(), cursor: z.string() }),
    timestamp: time,
  }),
  z.strictObject({
    type: z.literal("accepted"),
    data: z.strictObject({ turn_id: turnId, status: turnStatus, steered: z.literal(true).optional() }),
    id: frameId,
  }),
  z.strictObject({ type: z.literal("query_complete"), data: turnResult, id: frameId }),
  z.strictObject({
    type: z.literal("error"),
    data: z.strictObject({ code: z.string(), message: z.string() }),
    id: frameId,
  }),
  z.strictObject({ type: z.literal("pong"), id: frameId }),
]);
export type ControlFrame = z.infer<typeof controlFrame>;

export const serverFrame = z.union([controlFrame, event]);
export type ServerFrame = z.infer<typeof serverFrame>;

/** The bytes that the platform answers without waking the object. */
export const PING_FRAME = '{"type":"ping"}';
export const PONG_FRAME = '{"type":"pong"}';

/** Why the gateway closes a socket. */
export const CLOSE_CODES = { unauthenticated: 4001, no_session: 4004, deleted: 4010, too_far_behind: 1013 } as const;
