import { toTimestamp } from "../protocol/events.ts";
import type { FileInfo } from "../protocol/rest.ts";
import { hexSha256 } from "../protocol/sha256.ts";
import { contentTypeOf } from "./content-type.ts";

/** What is known of a file from its path and bytes. `modifiedAt` is in milliseconds since the epoch. */
export async function describeFile(path: string, bytes: Uint8Array, modifiedAt: number): Promise<FileInfo> {
  return {
    path,
    size: bytes.byteLength,
    content_type: contentTypeOf(path),
    sha256: await hexSha256(bytes),
    modified_at: toTimestamp(modifiedAt),
  };
}
