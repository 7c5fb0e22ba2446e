/** What a turn asks of people and clients, and how they answer. */
import * as z from "zod";
import { time } from "./events.ts";
import { inputId, turnId } from "./ids.ts";
import { json } from "./json.ts";
import { INPUT_TIMEOUT_MAX_SECONDS, TOOL_RESULT_MAX_CHARS } from "./limits.ts";
import { wellFormedText } from "./well-formed-text.ts";

/** An answer: `allow` or `deny` to an approval, any text to a question. */
export const inputResponseBody = z.strictObject({ response: wellFormedText().max(TOOL_RESULT_MAX_CHARS) });

/** What a client's tool came to. It is never cut: what is longer is refused. */
export const toolResultBody = z.strictObject({
  content: wellFormedText().max(TOOL_RESULT_MAX_CHARS),
  is_error: z.boolean().optional(),
});
export type ToolResultBody = z.infer<typeof toolResultBody>;

/** Something that people are asked, as the API shows it. */
export const input = z.strictObject({
  input_id: inputId,
  turn_id: turnId,
  kind: z.enum(["approval", "question"]),
  message: z.string(),
  /** The call that waits. */
  tool_use_id: z.string(),
  tool: z.string(),
  tool_input: json,
  /** Answers that the model offers to a question. */
  options: z.array(z.string()).optional(),
  expires_at: time,
  /** What an approval comes to if nobody answers; null for a question. */
  default: z.enum(["allow", "deny"]).nullable(),
  /** `settled`: it was answered, its time is up, or its turn has ended. */
  status: z.enum(["pending", "settled"]),
  /** Null while it is pending, and where nobody answered. */
  response: z.string().nullable(),
});
export type Input = z.infer<typeof input>;

export const answeredInput = z.strictObject({ input_id: inputId, turn_id: turnId, response: z.string() });
export type AnsweredInput = z.infer<typeof answeredInput>;

export const takenToolResult = z.strictObject({ tool_use_id: z.string(), turn_id: turnId });
export type TakenToolResult = z.infer<typeof takenToolResult>;

export const linkBody = z.strictObject({
  /** At most until the input's own deadline, which is the default. */
  expires_in_seconds: z.int().min(1).max(INPUT_TIMEOUT_MAX_SECONDS).optional(),
});

/** A link that answers once. It is shown here and nowhere else. */
export const inputLink = z.strictObject({ url: z.url(), expires_at: time });
export type InputLink = z.infer<typeof inputLink>;
