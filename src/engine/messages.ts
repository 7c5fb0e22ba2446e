/**
 * The shapes of the Messages API that the engine reads (https://docs.claude.com/en/api/messages). Blocks are kept
 * loose: what a block holds beyond what the engine reads is stored and sent back unchanged.
 */
import * as z from "zod";

export const contentBlock = z.looseObject({ type: z.string() });
export type ContentBlock = z.infer<typeof contentBlock>;

/** The citations of a text block; none where the field is null or missing. */
export const citationList = z.array(z.json()).catch([]);

export type Message = { role: "user" | "assistant"; content: ContentBlock[] };

const tokens = z.int().min(0).nullish();

const usageUpdate = z.looseObject({
  input_tokens: tokens,
  output_tokens: tokens,
  cache_read_input_tokens: tokens,
  cache_creation_input_tokens: tokens,
});
export type UsageUpdate = z.infer<typeof usageUpdate>;

/** What the API did to a request by itself (https://platform.claude.com/docs/en/build-with-claude/context-editing). */
const appliedEdits = z
  .object({ applied_edits: z.array(z.looseObject({ cleared_tool_uses: z.int().min(0).catch(0) })) })
  .nullish()
  .catch(null);

const index = z.int().min(0);

const knownDelta = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text_delta"), text: z.string() }),
  z.object({ type: z.literal("thinking_delta"), thinking: z.string() }),
  z.object({ type: z.literal("signature_delta"), signature: z.string() }),
  z.object({ type: z.literal("input_json_delta"), partial_json: z.string() }),
  z.object({ type: z.literal("citations_delta"), citation: z.json() }),
]);
export type Delta = z.infer<typeof knownDelta>;
const DELTA_TYPES: ReadonlySet<string> = new Set(knownDelta.options.map((option) => option.shape.type.value));

/** Null for a delta of a type yet to come. */
const delta = z.union([
  knownDelta,
  z.looseObject({ type: z.string().refine((type) => !DELTA_TYPES.has(type)) }).transform(() => null),
]);

/** The events of a stream that the engine knows. Others (`ping`, and types yet to come) are passed over. */
export const streamEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("message_start"), message: z.looseObject({ usage: usageUpdate.optional() }) }),
  z.object({ type: z.literal("content_block_start"), index, content_block: contentBlock }),
  z.object({ type: z.literal("content_block_delta"), index, delta }),
  z.object({ type: z.literal("content_block_stop"), index }),
  z.object({
    type: z.literal("message_delta"),
    delta: z.looseObject({ stop_reason: z.string().nullish(), stop_details: z.json().optional() }),
    usage: usageUpdate.optional(),
    context_management: appliedEdits,
  }),
  z.object({ type: z.literal("message_stop") }),
]);
export type StreamEvent = z.infer<typeof streamEvent>;
export const STREAM_EVENT_TYPES: ReadonlySet<string> = new Set(
  streamEvent.options.map((option) => option.shape.type.value),
);
