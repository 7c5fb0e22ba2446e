import * as z from "zod";
import { bytesOf } from "./bytes-of.ts";
import { GatewayError } from "./errors.ts";
import { JSON_MAX_BYTES, JSON_MAX_DEPTH } from "./limits.ts";

/** Any JSON value. One schema for all that hold any: it holds itself, and is named once where schemas are described. */
export const json = z.json();
export type Json = z.core.util.JSONType;

/**
 * Parses JSON from outside that a schema reads: a key that it would leave out without a word is refused.
 *
 * @throws GatewayError `too_large` or `invalid_request`
 */
export function parseJson(text: string): unknown {
  const value = parseAnyJson(text);
  if (namesPrototype(value)) throw new GatewayError("invalid_request", "No key may be __proto__.");
  return value;
}

/**
 * Parses JSON from outside. Size and nesting are checked before the parser sees the text, since a parser walks
 * nesting recursively.
 *
 * @throws GatewayError `too_large` or `invalid_request`
 */
export function parseAnyJson(text: string): unknown {
  if (text.length > JSON_MAX_BYTES || bytesOf(text) > JSON_MAX_BYTES) {
    throw new GatewayError("too_large", `JSON may have at most ${JSON_MAX_BYTES} bytes.`);
  }
  if (jsonDepth(text) > JSON_MAX_DEPTH) {
    throw new GatewayError("invalid_request", `JSON may be nested at most ${JSON_MAX_DEPTH} levels deep.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError("invalid_request", "This is not valid JSON.");
  }
}

/** Whether a key is `__proto__`, which schemas leave out. For what is not nested too deep. */
export function namesPrototype(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(namesPrototype);
}

/** The deepest nesting of brackets outside strings. Reads every character once and never recurses. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === 0x5c) i++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x5d || char === 0x7d) depth--;
  }
  return deepest;
}

/** Whether a value is nested deeper than JSON from outside may be. Never recurses, since that is what depth breaks. */
export function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    level = level
      .filter((inner) => typeof inner === "object" && inner !== null)
      .flatMap((inner) => Object.values(inner ?? {}));
    if (level.length > 0 && depth >= JSON_MAX_DEPTH) return true;
  }
  return false;
}

/**
 * JSON text that does not depend on the order of keys, so that two bodies that say the same compare equal.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
