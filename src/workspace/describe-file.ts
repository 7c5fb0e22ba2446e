import type { FileInfo } from "../protocol/rest.ts";
import { contentTypeOf } from "./content-type.ts";

/** What is known of a file from its path and bytes. `modifiedAt` is in milliseconds since the epoch. */
export async function describeFile(path: string, bytes: Uint8Array, modifiedAt: number): Promise<FileInfo> {
  return {
    path,
    size: bytes.byteLength,
    content_type: contentTypeOf(path),
    sha256: await sha256Hex(bytes),
    modified_at: new Date(modifiedAt).toISOString(),
  };
}

async function sha256Hex(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
