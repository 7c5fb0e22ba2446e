import * as z from "zod";
import { ask } from "./http-scene.ts";

export type Schema = z.core.JSONSchema.BaseSchema;

const schema = z.custom<Schema>((value) => typeof value === "object" && value !== null);
const media = z.looseObject({
  schema: schema.optional(),
  example: z.unknown().optional(),
  examples: z.unknown().optional(),
});
const content = z.record(z.string(), media);
const answer = z.looseObject({
  $ref: z.string().optional(),
  description: z.string().optional(),
  headers: z.record(z.string(), z.looseObject({ required: z.boolean().optional() })).optional(),
  content: content.optional(),
});
const parameter = z.looseObject({
  name: z.string(),
  in: z.enum(["path", "query", "header"]),
  required: z.boolean().optional(),
  description: z.string(),
  schema,
});
const operation = z.looseObject({
  operationId: z.string(),
  summary: z.string().min(5),
  description: z.string().min(5),
  tags: z.array(z.string()).length(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(parameter).optional(),
  requestBody: z.looseObject({ required: z.boolean().optional(), content }).optional(),
  responses: z.record(z.string(), answer),
});
export type Operation = z.infer<typeof operation>;
export type Parameter = z.infer<typeof parameter>;

/** A document in which every operation says what an operation has to say. */
export const document = z.looseObject({
  openapi: z.literal("3.1.1"),
  servers: z.array(z.looseObject({ url: z.string() })),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({
    schemas: z.record(z.string(), schema),
    responses: z.record(z.string(), answer),
  }),
});
export type Document = z.infer<typeof document>;

/** The document, as whoever asks for it gets it. */
export async function servedDocument(): Promise<Document> {
  const response = await ask("GET", "/openapi.json", { token: null });
  return document.parse(await response.json());
}

export type Described = { path: string; method: string; operation: Operation };

export function operationsOf({ paths }: Document): Described[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ path, method, operation: one })),
  );
}

/** What an operation says of a status; undefined where it says nothing. */
export function answerOf(served: Document, one: Operation, status: number) {
  const said = one.responses[status];
  const name = said?.$ref?.split("/").at(-1);
  return name === undefined ? said : served.components.responses[name];
}

/** What reads values by the document's schemas, which refer to each other. */
export function validators(served: Document): (schema: Schema) => z.ZodType {
  const known = new Map<string, z.ZodType>();
  const $defs = JSON.parse(localRefs(served.components.schemas));
  return (one) => {
    const text = localRefs(one);
    const found = known.get(text) ?? z.fromJSONSchema({ ...JSON.parse(text), $defs });
    known.set(text, found);
    return found;
  };
}

function localRefs(value: unknown): string {
  return JSON.stringify(value).replaceAll("#/components/schemas/", "#/$defs/");
}
