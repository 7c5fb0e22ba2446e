import type * as z from "zod";
import { fromBase64Url, toBase64Url } from "./base64-url.ts";
import { GatewayError } from "./errors.ts";

/**
 * Cursors of lists that are sorted by a key: the key of the last item of a page, in a form that says nothing to
 * clients and needs no escaping in a URL.
 */
export function formatPageCursor(key: readonly string[]): string {
  return toBase64Url(new TextEncoder().encode(JSON.stringify(key)));
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
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fromBase64Url(cursor)));
  } catch {
    return undefined;
  }
}
