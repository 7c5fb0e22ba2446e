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

/** The key of `length` strings that a cursor stands for; null for whatever `formatPageCursor` did not make. */
export function parsePageCursor(cursor: string, length: number): string[] | null {
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const key: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    const isKey = Array.isArray(key) && key.length === length && key.every((part) => typeof part === "string");
    return isKey && formatPageCursor(key) === cursor ? key : null;
  } catch {
    return null;
  }
}
