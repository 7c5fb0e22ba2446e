import fc from "fast-check";
import { expect, test } from "vitest";
import { fileHeaders } from "../../src/http/file-headers.ts";
import { workspacePath } from "../../src/workspace/paths.ts";

const dispositionOf = (path: string) =>
  fileHeaders({
    path,
    size: 1,
    content_type: "text/plain",
    sha256: "0".repeat(64),
    modified_at: "2026-01-01T00:00:00.000Z",
  }).get("content-disposition");

/** A header as a client reads it that keeps to RFC 6266 and RFC 8187; null for what is none. */
function parseDisposition(header: string) {
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const value = "[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2}";
  const form = new RegExp(
    `^attachment; filename="((?:[^"\\\\\\x00-\\x1f\\x7f-\\uffff])*)"; filename\\*=UTF-8''((?:${value})+)$`,
  );
  const [, plain, extended] = form.exec(header) ?? [];
  if (!new RegExp(`^${token}; `).test(header) || plain === undefined || extended === undefined) return null;
  return { plain, name: decodeURIComponent(extended) };
}

/** Every path that the guard lets pass, of pieces that headers are broken with. */
const path = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', "'", ";", "%", "%22", "%0d%0a", "\r\n", "\n", "\0", "\u0085", "\u2028", "\u202e", "*", "="),
      fc.constantFrom("/", "..", ".", " ", "\t", "\\", "~", ",", "=?UTF-8?B?eA==?=", "filename*=UTF-8''x", "ä", "🚀"),
      fc.string({ unit: "grapheme", maxLength: 4 }),
      fc.string({ unit: "binary", maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((pieces) => {
    try {
      return workspacePath(pieces.join(""));
    } catch {
      return null;
    }
  })
  .filter((passed) => passed !== null);

test("[FILE16] the name of any file is one harmless header, from which it is read back", () => {
  fc.assert(
    fc.property(path, (passed) => {
      const header = dispositionOf(passed) ?? "";
      expect(header).toMatch(/^[\x20-\x7e]+$/);
      const name = passed.slice(passed.lastIndexOf("/") + 1);
      const parsed = parseDisposition(header);
      expect(parsed?.name).toBe(name);
      // As many characters, each its own where every client reads it as it stands, and a place-holder else.
      expect(parsed?.plain).toBe(name.replace(/[^A-Za-z0-9._ -]/g, "_"));
    }),
    { numRuns: 300 },
  );
});

test("[FILE16] names that would end a header, a line or a parameter do not", () => {
  const names = [
    ['a"; filename="b.exe', "a__ filename__b.exe"],
    ["a%22b%0d%0aSet-Cookie: x", "a_22b_0d_0aSet-Cookie_ x"],
    ["x;filename*=UTF-8''b.exe", "x_filename__UTF-8__b.exe"],
    ["\u202egnp.exe", "_gnp.exe"],
    ["’ “„.txt", "_ __.txt"],
  ] as const;
  for (const [name, plain] of names) {
    expect(parseDisposition(dispositionOf(`d/${name}`) ?? "")).toEqual({ plain, name });
  }
});
