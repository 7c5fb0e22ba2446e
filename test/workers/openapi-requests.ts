/** Requests that follow from the document: such as it describes, and such that are slightly broken. */
import fc from "fast-check";
import type { Asked } from "./http-scene.ts";
import type { Described, Document, Parameter, Schema } from "./openapi-scene.ts";

/** What paths may name beside what is not there: ids and paths of files that are, by the name of a parameter. */
export type Pool = Readonly<Record<string, readonly string[]>>;

export type AnyRequest = { method: string; path: string; asked: Asked };

/** Longer texts and lists say nothing more, and cost time. */
const MAX_CHARS = 300;

const oddText = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\0",
    "\ud800",
    "__proto__",
    "constructor",
    "null",
    "-1",
    "1e999",
    "é\u202e🚀",
    "%00",
    "a/b",
    "'",
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constant("x".repeat(2_000)),
);
const oddValue = fc.oneof(
  oddText,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER + 2, [], {}, [[]], {
    a: { b: [null] },
  }),
);

/** Fields whose values decide how long a request takes, or whom it asks. */
const FIELDS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  model: fc.constant("demo"),
  fast_model: fc.constant("demo"),
  user_id: fc.constantFrom("ann", "ann", "ann", "bob"),
  wait: fc.constant(1),
  response: fc.oneof(fc.constantFrom("allow", "deny"), oddText),
};

/** Values that a schema of the document takes. */
function valuesOf(schema: Schema, { components }: Document): fc.Arbitrary<unknown> {
  const of = (one: Schema): fc.Arbitrary<unknown> => {
    if (one.$ref !== undefined) {
      const name = one.$ref.split("/").at(-1) ?? "";
      // Any JSON, which holds itself.
      return name === "Json" ? fc.jsonValue({ maxDepth: 2 }) : of(components.schemas[name] ?? {});
    }
    if (one.const !== undefined) return fc.constant(one.const);
    if (one.enum !== undefined) return fc.constantFrom<unknown>(...one.enum);
    const options = (one.anyOf ?? one.oneOf)?.filter((option) => typeof option !== "boolean");
    if (options !== undefined) return fc.oneof(...options.map(of));
    const types = [one.type ?? "string"].flat();
    return fc.oneof(...types.map((type) => ofType(type, one)));
  };
  const ofType = (type: string, one: Schema): fc.Arbitrary<unknown> => {
    switch (type) {
      case "null":
        return fc.constant(null);
      case "boolean":
        return fc.boolean();
      case "integer":
        return numbers(one).map(Math.round);
      case "number":
        return numbers(one);
      case "array":
        return fc.array(typeof one.items === "object" && !Array.isArray(one.items) ? of(one.items) : oddValue, {
          minLength: one.minItems ?? 0,
          maxLength: 3,
        });
      case "object":
        return objects(one);
      default:
        return texts(one);
    }
  };
  const objects = (one: Schema): fc.Arbitrary<unknown> => {
    const fields: Record<string, fc.Arbitrary<unknown>> = {};
    for (const [name, field] of Object.entries(one.properties ?? {})) {
      fields[name] = FIELDS[name] ?? (typeof field === "boolean" ? oddValue : of(field));
    }
    if (one.properties !== undefined) return fc.record(fields, { requiredKeys: one.required ?? [] });
    const { additionalProperties: values, propertyNames: names } = one;
    return fc.dictionary(
      typeof names === "object" ? texts(names) : fc.string(),
      typeof values === "object" ? of(values) : oddValue,
      {
        maxKeys: 3,
      },
    );
  };
  return of(schema);
}

function numbers({ minimum, exclusiveMinimum, maximum }: Schema): fc.Arbitrary<number> {
  const least = minimum ?? (typeof exclusiveMinimum === "number" ? exclusiveMinimum + 1e-6 : -1e9);
  const most = maximum ?? 1e9;
  return fc.oneof(fc.constantFrom(least, most), fc.double({ min: least, max: most, noNaN: true }));
}

function texts({ pattern, format, minLength = 0, maxLength = MAX_CHARS }: Schema): fc.Arbitrary<string> {
  if (format === "date-time") return fc.constantFrom("2026-10-01T12:00:00.000Z", "9999-01-01T00:00:00.000Z");
  if (format === "date") return fc.constantFrom("2026-10-01", "2026-02-28");
  const usual = pattern === undefined ? fc.string({ unit: "grapheme" }) : fc.stringMatching(new RegExp(pattern));
  const longest = Math.min(maxLength, MAX_CHARS);
  return usual.map((text) => text.slice(0, longest).padEnd(minLength, "x"));
}

/** The same value, or one with a field that is wrong, missing or unknown. */
function slightlyBroken(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const broken = fc.tuple(values, fc.nat(), fc.constantFrom("wrong", "missing", "unknown", "all"), oddText, oddValue);
  const breaks = broken.map(([value, which, how, name, odd]) => {
    if (how === "all" || typeof value !== "object" || value === null || Array.isArray(value)) return odd;
    const fields: [string, unknown][] = Object.entries(value);
    const at = fields.length === 0 ? 0 : which % fields.length;
    const others = fields.filter((_, place) => place !== at);
    if (how === "unknown") return Object.fromEntries([...fields, [name, odd]]);
    const [field = name] = fields[at] ?? [];
    return Object.fromEntries(how === "missing" ? others : [...others, [field, odd]]);
  });
  return fc.oneof({ weight: 3, arbitrary: values }, { weight: 1, arbitrary: breaks });
}

/** Where a parameter is left out: undefined. */
function parameterValue(one: Parameter, pool: Pool, served: Document): fc.Arbitrary<string | undefined> {
  if (one.in === "path") return pathValue(pool[one.name] ?? []);
  const usual = one.in === "header" ? headerValue(one.name) : (FIELDS[one.name] ?? valuesOf(one.schema, served));
  const odd = one.in === "header" ? fc.stringMatching(/^[\x21-\x7e]{0,20}$/) : oddText;
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 4, arbitrary: usual.map(String) },
    { weight: 1, arbitrary: odd },
  );
}

function pathValue(known: readonly string[]): fc.Arbitrary<string> {
  // What a URL's parser takes for steps between folders is no value of a parameter.
  const odd = oddText.filter((text) => !/^\.{1,2}$/.test(text));
  return known.length === 0
    ? odd
    : fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: odd });
}

function headerValue(name: string): fc.Arbitrary<unknown> {
  switch (name.toLowerCase()) {
    case "range":
      return fc.constantFrom(
        "bytes=0-1",
        "bytes=-1",
        "bytes=1-",
        "bytes=9999-",
        "bytes=2-1",
        "bytes=0-0,1-1",
        "lines=1",
      );
    case "last-event-id":
      return fc.constantFrom("0", "1", "3~2.1", "999999");
    case "upgrade":
      return fc.constant("websocket");
    case "idempotency-key":
      return fc.constantFrom("one", "two");
    default:
      return fc.constantFrom("*", '"x"', 'W/"x"', '"x", "y"');
  }
}

const anyToken = fc.oneof(
  { weight: 12, arbitrary: fc.constant("ann") },
  { weight: 1, arbitrary: fc.constantFrom("bob", "ann-read", "ann-approve", "nobody", null) },
);

/** Any request of one operation. */
export function requestsOf(
  { path, method, operation }: Described,
  pool: Pool,
  served: Document,
): fc.Arbitrary<AnyRequest> {
  const parameters = operation.parameters ?? [];
  const isAdmins = operation.security.some(({ bearer }) => bearer?.includes("admin"));
  const streams = operation.responses["200"]?.content?.["text/event-stream"] !== undefined;
  return fc
    .record({
      values: fc.tuple(...parameters.map((one) => parameterValue(one, pool, served))),
      extra: fc.oneof(
        { weight: 15, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.tuple(oddText, oddText) },
      ),
      token: isAdmins ? fc.constantFrom("test-admin-token", "test-admin-token", "ann") : anyToken,
      body: anyBody(operation, served),
      accept: streams ? fc.constantFrom("text/event-stream", "application/json", "*/*") : fc.constant("*/*"),
    })
    .map(({ values, extra, token, body, accept }) => {
      const given = parameters.flatMap((one, at) => {
        const value = values[at];
        return value === undefined ? [] : [{ ...one, value }];
      });
      const url = given.reduce(
        (text, { in: place, name, value }) =>
          place === "path" ? text.replace(`{${name}}`, encodeURIComponent(value.toWellFormed())) : text,
        path,
      );
      const query = new URLSearchParams(given.flatMap((one) => (one.in === "query" ? [[one.name, one.value]] : [])));
      if (extra !== null) query.append(...extra);
      const headers = Object.fromEntries(given.flatMap((one) => (one.in === "header" ? [[one.name, one.value]] : [])));
      const asked = {
        token,
        headers: { accept, ...headers, ...body.headers },
        ...(body.text === null ? {} : { body: body.text }),
      };
      return { method: method.toUpperCase(), path: `${url}${query.size === 0 ? "" : `?${query}`}`, asked };
    });
}

type AnyBody = { headers: Record<string, string>; text: string | null };

function anyBody({ requestBody }: Described["operation"], served: Document): fc.Arbitrary<AnyBody> {
  const none: AnyBody = { headers: {}, text: null };
  const [[type, { schema }] = ["", {}]] = Object.entries(requestBody?.content ?? {});
  if (requestBody === undefined || schema === undefined) return fc.constant(none);
  const usual = slightlyBroken(valuesOf(schema, served)).map((value) => ({
    headers: { "content-type": type === "*/*" ? "text/plain" : type },
    text: type === "application/json" ? JSON.stringify(value) : formOf(value),
  }));
  const odd = fc.tuple(fc.constantFrom("application/json", "text/plain", type === "*/*" ? "x/y" : type), oddText);
  return fc.oneof(
    { weight: 8, arbitrary: usual },
    { weight: 1, arbitrary: odd.map(([contentType, text]) => ({ headers: { "content-type": contentType }, text })) },
    { weight: 1, arbitrary: fc.constant(none) },
  );
}

function formOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return new URLSearchParams(Object.entries(value).map(([name, one]) => [name, String(one)])).toString();
}
