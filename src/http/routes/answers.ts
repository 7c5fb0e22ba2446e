import { z } from "zod";
import { problem } from "../../protocol/errors.ts";

/** How a route declares what JSON holds. */
export function jsonContent<Schema extends z.ZodType>(schema: Schema) {
  return { "application/json": { schema } };
}

/** How a route declares an answer in JSON. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: jsonContent(schema) };
}

/** How a route declares a body in JSON. `jsonBody` has made sure that there is one. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: jsonContent(schema) };
}

/** What every route may answer. */
export const problems = {
  default: { description: "An error", content: { "application/problem+json": { schema: problem } } },
};

/** How a route declares that it may answer with server-sent events. */
export const eventStream = { "text/event-stream": { schema: z.string() } };
