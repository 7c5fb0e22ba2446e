import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import type { FileEntry } from "../engine/ports.ts";
import { TOOL_FILE_MAX_BYTES } from "../protocol/limits.ts";
import type { Disk } from "./disk.ts";

/** A file, and what tells its versions apart. */
export type DirectoryFile = FileEntry & { version: string };

/** What tells the versions of a file apart, from its contents. */
export function versionOf(sha256: string): string {
  return `sha256:${sha256}`;
}

/** The same for a file that is too large to be read for it. */
function fingerprintOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `stat:${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The version of an open file of which these bytes were read; null for one that is too large. */
export function versionFrom(disk: Disk, path: string, fd: number, bytes: Uint8Array | null): DirectoryFile {
  if (bytes !== null) return { path, size: bytes.byteLength, version: versionOf(sha256Of(bytes)) };
  const stats = disk.fstat(fd);
  return { path, size: Number(stats.size), version: fingerprintOf(stats) };
}

/** The version of an open file, which is read for it. */
export function versionSync(disk: Disk, path: string, fd: number): DirectoryFile {
  const isLarge = disk.fstat(fd).size > TOOL_FILE_MAX_BYTES;
  return versionFrom(disk, path, fd, isLarge ? null : collectSync(disk.chunksSync(fd), TOOL_FILE_MAX_BYTES));
}

/** What pieces come to together; null if that is over `maxBytes`. */
export async function collect(chunks: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array | null> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    kept.push(chunk);
    size += chunk.byteLength;
    if (size > maxBytes) return null;
  }
  return joined(kept, size);
}

function collectSync(chunks: Iterable<Uint8Array>, maxBytes: number): Uint8Array | null {
  const kept: Uint8Array[] = [];
  let size = 0;
  for (const chunk of chunks) {
    kept.push(chunk);
    size += chunk.byteLength;
    if (size > maxBytes) return null;
  }
  return joined(kept, size);
}

/** Not `Buffer.concat`: what tools are given is a plain Uint8Array, as elsewhere. */
function joined(chunks: Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
