import type { RouteConfig } from "@hono/zod-openapi";
import * as z from "zod";
import { ERROR_CODES, errorCode } from "../../protocol/errors.ts";
import { scope } from "../../protocol/principal.ts";
import { inlineSchema, namedSchemas, nameOf, schemaRef } from "./components.ts";
import { FIELDS, SCHEMAS, TAGS, TEXT } from "./descriptions.ts";
import { EXAMPLES } from "./examples.ts";
import { problemAnswer, problemCodes } from "./problems.ts";

type Fields = Record<string, unknown>;

/** What `operation` puts into a route's declaration. `x-problems` is null where errors are no problems but pages. */
const declared = z.object({
  "x-scope": scope.nullable(),
  "x-problems": z.array(errorCode).nullable(),
});

/** A parameter's schema may say how it reads to clients, who send text: `x-as` (`parameters.ts`). */
const parameterSchema = z.looseObject({ description: z.string().optional(), "x-as": z.looseObject({}).optional() });

/** The document of an API: OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html), without its servers. */
export function describeApi(routes: readonly RouteConfig[], version: string): Fields {
  const answers: Fields = {};
  const paths: Record<string, Fields> = {};
  for (const route of routes) {
    // The router's pattern for a path that may hold slashes.
    const path = route.path.replace("{.*}", "");
    paths[path] = { ...paths[path], [route.method]: operationOf(route, path, answers) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Turnpike",
      version,
      summary: TEXT.summary,
      description: TEXT.description,
      license: { name: "Apache License 2.0", identifier: "Apache-2.0" },
    },
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: { schemas: describedSchemas(), responses: answers, securitySchemes: TEXT.securitySchemes },
  };
}

/** Answers that are errors are kept in `answers`, since most routes share them. */
function operationOf(route: RouteConfig, path: string, answers: Fields): Fields {
  const { method, path: _, request, responses, middleware, hide, parameters = [], ...rest } = route;
  const { "x-scope": _scope, "x-problems": _problems, ...said } = rest;
  const { "x-scope": needed = null, "x-problems": problems = [] } = declared.safeParse(route).data ?? {};
  const hasJsonBody = request?.body?.content["application/json"] !== undefined;
  const codes = problems === null ? [] : problemCodes({ scope: needed, path, hasJsonBody, problems });
  const taken = [
    ...parametersIn("path", request?.params),
    ...parametersIn("query", request?.query),
    ...(Array.isArray(request?.headers) ? [] : parametersIn("header", request?.headers)),
    ...parameters,
  ];
  return {
    ...said,
    security: rest.security ?? (needed === null ? [] : [{ bearer: [needed] }]),
    ...(taken.length === 0 ? {} : { parameters: taken }),
    ...(request?.body === undefined ? {} : { requestBody: withSchemas(request.body) }),
    responses: {
      ...Object.fromEntries(Object.entries(responses).map(([status, answer]) => [status, withSchemas(answer)])),
      ...Object.fromEntries(
        [...new Set(codes.map((code) => ERROR_CODES[code].status))].map((status) => {
          const { name, answer } = problemAnswer(codes.filter((code) => ERROR_CODES[code].status === status));
          answers[name] = answer;
          return [status, { $ref: `#/components/responses/${name}` }];
        }),
      ),
    },
  };
}

/** A body or an answer, in whose content JSON Schema stands for zod's, each with its example. */
function withSchemas(declaration: object): Fields {
  const { content, headers, ...said }: Fields = { ...declaration };
  const media = isFields(content)
    ? Object.entries(content).filter((one): one is [string, Fields] => isFields(one[1]))
    : [];
  return {
    ...said,
    ...(isFields(headers) && Object.keys(headers).length > 0 ? { headers } : {}),
    ...(media.length === 0 ? {} : { content: Object.fromEntries(media.map(([type, one]) => [type, mediaOf(one)])) }),
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function mediaOf(media: Fields): Fields {
  const { schema } = media;
  if (!(schema instanceof z.ZodType)) return media;
  const name = nameOf(schema);
  if (name === undefined) return { ...media, schema: inlineSchema(schema) };
  return { schema: { $ref: schemaRef(name) }, example: EXAMPLES[name], ...omitSchema(media) };
}

function omitSchema({ schema: _, ...rest }: Fields): Fields {
  return rest;
}

function parametersIn(place: "path" | "query" | "header", schema: unknown): Fields[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, field]) => {
    const { description, "x-as": as, ...own } = parameterSchema.parse(inlineSchema(field));
    const required = place === "path" || !field.safeParse(undefined).success;
    const list = as?.["type"] === "array" ? { style: "form", explode: false } : {};
    return { name, in: place, required, description, ...list, schema: as ?? own };
  });
}

function describedSchemas(): Fields {
  return Object.fromEntries(
    Object.entries(namedSchemas()).map(([name, schema]) => [
      name,
      {
        ...schema,
        ...(SCHEMAS[name] === undefined ? {} : { description: SCHEMAS[name] }),
        ...(schema.properties === undefined ? {} : { properties: describedFields(name, schema.properties) }),
        ...(EXAMPLES[name] === undefined ? {} : { examples: [EXAMPLES[name]] }),
      },
    ]),
  );
}

function describedFields(name: string, properties: Readonly<Record<string, unknown>>): Fields {
  const said = { ...FIELDS["*"], ...FIELDS[name] };
  return Object.fromEntries(
    Object.entries(properties).map(([field, schema]) => {
      return [field, isFields(schema) && said[field] !== undefined ? { ...schema, description: said[field] } : schema];
    }),
  );
}
