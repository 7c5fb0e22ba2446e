import type { z } from "zod";
import { GatewayError } from "./errors.ts";
import { JSON_MAX_BYTES, JSON_MAX_DEPTH } from "./limits.ts";

/** Any JSON value. */
export type Json = z.core.util.JSONType;

/**
 * Parses JSON from outside. Size and nesting are checked before the parser sees the text, since a parser walks
 * nesting recursively.
 *
 * @throws GatewayError `too_large` or `invalid_request`
 */
export function parseJson(text: string): unknown {
  if (text.length > JSON_MAX_BYTES || new TextEncoder().encode(text).byteLength > JSON_MAX_BYTES) {
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
