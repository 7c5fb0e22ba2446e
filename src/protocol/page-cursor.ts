import type { z } from "zod";
import { GatewayError } from "./errors.ts";

/**
 * Cursors of lists that are sorted by a key: the key of the last item of a page, in a form that says nothing to
 * clients and needs no escaping in a URL.
 */
export function formatPageCursor(key: readonly string[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify(key));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/**
 * The key that a cursor stands for.
 *
 * @throws GatewayError `bad_cursor` for whatever `formatPageCursor` did not make of such a key
 */
export function parsePageCursor<Key extends readonly string[]>(cursor: string, schema: z.ZodType<Key>): Key {
  const key = schema.safeParse(decode(cursor));
  if (key.success && formatPageCursor(key.data) === cursor) return key.data;
  throw new GatewayError("bad_cursor", "The cursor is not one that a page of this list ended with.");
}

/** The JSON that a cursor holds; undefined where it holds none. */
function decode(cursor: string): unknown {
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
