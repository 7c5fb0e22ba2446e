import fc from "fast-check";
import { expect, test } from "vitest";
import { GatewayError } from "../../src/protocol/errors.ts";
import { canonicalJson, parseJson } from "../../src/protocol/json.ts";
import { JSON_MAX_BYTES, JSON_MAX_DEPTH } from "../../src/protocol/limits.ts";

/** The code with which a text is refused, or null where it is parsed. */
function refusalOf(text: string): string | null {
  try {
    parseJson(text);
    return null;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code;
    throw thrown;
  }
}

const nested = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels);

/** The same value with the keys of every object in the opposite order. */
function reorder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reorder);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reorder(inner)]),
  );
}

test("[REST3] any JSON within the limits is parsed", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 10 }), (text) => {
      fc.pre(!text.includes("__proto__"));
      expect(parseJson(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("[REST3] a key __proto__ is refused at any depth, however it is written", () => {
  const written = fc.constantFrom("__proto__", "\\u005f_proto_\\u005F", "__\\u0070roto__");
  fc.assert(
    fc.property(
      written,
      fc.array(fc.constantFrom<[string, string]>(["[1,", "]"], ['{"a":0,"b":', "}"])),
      (key, path) => {
        const around = (inner: string) => path.reduce((text, [open, close]) => `${open}${text}${close}`, inner);
        fc.pre(path.length < JSON_MAX_DEPTH);
        expect(refusalOf(around(`{"${key}":{}}`))).toBe("invalid_request");
        expect(refusalOf(around(`{"x${key}":"${key}"}`))).toBeNull();
      },
    ),
  );
});

test("[REST3] any other text is invalid_request", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect(refusalOf(text)).toBe(valid ? null : "invalid_request");
    }),
  );
});

test("[REST3] JSON may be nested 64 levels deep", () => {
  expect(JSON_MAX_DEPTH).toBe(64);
  expect(refusalOf(nested(64, "[", "]"))).toBeNull();
  expect(refusalOf(nested(65, "[", "]"))).toBe("invalid_request");
  expect(refusalOf(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`)).toBeNull();
  expect(refusalOf(`${'{"a":['.repeat(33)}${"]}".repeat(33)}`)).toBe("invalid_request");
});

test("[REST3] brackets inside strings are no nesting", () => {
  expect(refusalOf(JSON.stringify("[".repeat(1_000)))).toBeNull();
  expect(refusalOf(JSON.stringify(`"\\${"[{".repeat(1_000)}`))).toBeNull();
  expect(refusalOf(`["\\"",${nested(64, "[", "]")}]`)).toBe("invalid_request");
  expect(refusalOf(`["\\\\",${nested(64, "[", "]")}]`)).toBe("invalid_request");
});

test("[REST3] depth cannot be hidden behind brackets that close nothing", () => {
  expect(refusalOf("]".repeat(100) + nested(100, "[", "]"))).toBe("invalid_request");
});

test("[REST3] the limit of JSON is 1,000,000 bytes, not characters", () => {
  expect(JSON_MAX_BYTES).toBe(1_000_000);
  expect(refusalOf(`"${"a".repeat(999_998)}"`)).toBeNull();
  expect(refusalOf(`"${"a".repeat(999_999)}"`)).toBe("too_large");
  expect(refusalOf(`"${"é".repeat(499_999)}"`)).toBeNull();
  expect(refusalOf(`"${"é".repeat(500_000)}"`)).toBe("too_large");
});

test("[REST3] a body that is only brackets is refused before it is parsed", () => {
  expect(refusalOf("[".repeat(10_000_000))).toBe("too_large");
  expect(refusalOf("[".repeat(1_000_000))).toBe("invalid_request");
});

test("[IDEM3] bodies that differ only in the order of keys have one canonical form", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const value: unknown = JSON.parse(text);
      const canonical = canonicalJson(value);
      expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(reorder(value))).toBe(canonical);
    }),
  );
});

test("[IDEM3] bodies that differ in more have two", () => {
  expect(canonicalJson({ a: [1, 2] })).not.toBe(canonicalJson({ a: [2, 1] }));
  expect(canonicalJson({ a: 1 })).not.toBe(canonicalJson({ a: "1" }));
  expect(canonicalJson({ a: null })).not.toBe(canonicalJson({}));
});
