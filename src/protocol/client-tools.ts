import * as z from "zod";
import { bytesOf } from "./bytes-of.ts";
import { json } from "./json.ts";
import {
  CLIENT_TOOL_DESCRIPTION_MAX_CHARS,
  CLIENT_TOOLS_MAX,
  CLIENT_TOOLS_MAX_BYTES,
  INPUT_TIMEOUT_MAX_SECONDS,
  TOOL_NAME_MAX_CHARS,
} from "./limits.ts";
import { wellFormedText } from "./well-formed-text.ts";

/**
 * A tool that a client of the session runs. `input_schema` is JSON Schema, as the model is shown it; whether an input
 * fits it is for the client to say.
 */
export const clientTool = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, "letters, digits, _ and - only")
    .max(TOOL_NAME_MAX_CHARS)
    // By such a name an object that holds clients' functions would give one that nobody put there.
    .refine((name) => !(name in Object.prototype), "a name that every object has, such as constructor"),
  description: wellFormedText().max(CLIENT_TOOL_DESCRIPTION_MAX_CHARS),
  input_schema: z
    .record(z.string(), json)
    .refine((schema) => schema["type"] === "object", 'the type of an input must be "object"'),
  /** How long the clients have to give a result. */
  timeout_seconds: z.int().min(1).max(INPUT_TIMEOUT_MAX_SECONDS).optional(),
});
export type ClientTool = z.infer<typeof clientTool>;

export const clientTools = z
  .array(clientTool)
  .max(CLIENT_TOOLS_MAX)
  .refine((tools) => new Set(tools.map(({ name }) => name)).size === tools.length, "two tools have the same name")
  .refine(
    (tools) => bytesOf(JSON.stringify(tools)) <= CLIENT_TOOLS_MAX_BYTES,
    `at most ${CLIENT_TOOLS_MAX_BYTES} bytes as JSON`,
  );
