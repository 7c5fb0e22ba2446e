import { MEDIA_TYPE_MAX_CHARS } from "../protocol/limits.ts";
import type { FileInfo } from "../protocol/rest.ts";

/** A file's strong entity tag. */
export function etagOf({ sha256 }: FileInfo): string {
  return `"${sha256}"`;
}

/**
 * For answers that carry a file's ETag: something in between that compressed them would have to weaken it, and a weak
 * one is no use in `If-Match`.
 */
export const KEEP_ETAG = "no-transform";

/** The headers that a file is served with. Whatever it holds, a browser is told to run nothing of it. */
export function fileHeaders(info: FileInfo): Headers {
  return new Headers({
    "content-type": info.content_type,
    "content-length": `${info.size}`,
    "content-disposition": attachment(info.path),
    "content-security-policy": "sandbox; default-src 'none'",
    "last-modified": new Date(info.modified_at).toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": `private, no-cache, ${KEEP_ETAG}`,
    etag: etagOf(info),
  });
}

/** `Content-Disposition` (RFC 6266) with the file's own name, and one in plain ASCII for clients that know no other. */
function attachment(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const plain = name.replace(/[^A-Za-z0-9._ -]/g, "_");
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeExtended(name)}`;
}

/** What `fetch` and curl add unasked: it says nothing of the file. */
const UNASKED_TYPES: readonly string[] = ["text/plain;charset=utf-8", "application/x-www-form-urlencoded"];

/**
 * The media type that a client gives its file (RFC 9110, section 8.3.1); "" where it gives none, which means by the
 * file's name. Of its parameters only UTF-8 is kept: what passes an answer on may try to read its text as the charset
 * that it names, and fail.
 */
export function mediaType(header: string | undefined): string {
  if (header === undefined || header.length > MEDIA_TYPE_MAX_CHARS) return "";
  if (UNASKED_TYPES.includes(header.toLowerCase())) return "";
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const parameter = `[ \\t]*;[ \\t]*${token}=(?:${token}|"[ \\x21\\x23-\\x5b\\x5d-\\x7e]*")`;
  const [, type = "", parameters = ""] = new RegExp(`^(${token}/${token})((?:${parameter})*)$`).exec(header) ?? [];
  const isUtf8 = /;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*(?:;|$)/i.test(parameters);
  return isUtf8 ? `${type}; charset=utf-8` : type;
}

/** RFC 8187: what `encodeURIComponent` leaves as it is and no extended value may hold is encoded too. */
function encodeExtended(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
