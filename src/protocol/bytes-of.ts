const encoder = new TextEncoder();
const beyondAscii = /[^\0-\x7f]/;

/** What a text takes on the wire: its length in UTF-8. */
export function bytesOf(text: string): number {
  // To encode a text costs several times as much as to look through it, and most are ASCII.
  return beyondAscii.test(text) ? encoder.encode(text).byteLength : text.length;
}
