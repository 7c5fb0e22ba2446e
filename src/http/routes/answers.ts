import type * as z from "zod";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { Scope } from "../../protocol/principal.ts";

export type Operation = {
  /** The name by which clients that are made from the document call it. */
  id: string;
  tag: "Gateway" | "Sessions" | "Turns" | "Inputs" | "Events" | "Files" | "Usage" | "Tokens" | "Answer pages";
  summary: string;
  description: string;
  /** The scope that it needs; null where it is open to everybody. */
  scope: Scope | null;
  /** The errors that it can answer beside those that follow from what it takes (`openapi/problems.ts`). */
  problems?: readonly ErrorCode[];
};

/** What a route says of itself to readers: a part of its declaration, which `/openapi.json` is made from. */
export function operation({ id, tag, summary, description, scope, problems = [] }: Operation) {
  return { operationId: id, tags: [tag], summary, description, "x-scope": scope, "x-problems": problems };
}

/** A header of an answer. */
export function header(description: string) {
  return { description, required: true, schema: { type: "string" as const } };
}

/** A header that a route reads by itself, so that no schema stands for it. */
export function headerParameter(name: string, description: string) {
  return { name, in: "header" as const, description, schema: { type: "string" as const } };
}

/** How a route declares what JSON holds. */
export function jsonContent<Schema extends z.ZodType>(schema: Schema) {
  return { "application/json": { schema } };
}

/** How a route declares an answer in JSON. */
export function json<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  headers: Record<string, ReturnType<typeof header>> = {},
) {
  return { description, headers, content: jsonContent(schema) };
}

/** How a route declares a body in JSON. `jsonBody` has made sure that there is one. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: jsonContent(schema) };
}

/** How a route declares that it may answer with server-sent events. */
export const eventStream = {
  "text/event-stream": {
    schema: {
      type: "string" as const,
      description:
        "Server-sent events. Each has `id:`, the cursor behind it, and `data:`, one Event as JSON on one line; there is no `event:` field. A comment comes every 15 seconds.",
    },
    example:
      'id: 2\ndata: {"seq":2,"cursor":"2","type":"USER_INPUT","turn_id":"turn_01K6D0000000000000000000TN","timestamp":"2026-10-01T12:00:00.000Z","data":{"text":"Hello","user_id":"ann","metadata":{}}}\n\n',
    "x-event": { $ref: "#/components/schemas/Event" },
  },
};
