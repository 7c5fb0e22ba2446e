/**
 * The blobs of a space in R2. A space is what sessions that share files share. Blobs never change, and their ids, which
 * are `<stage id>.<n>`, are never used again.
 */
import { storageCall } from "./storage-call.ts";

/** R2 deletes this many keys in one call. */
const DELETE_MAX_KEYS = 1_000;

/** The R2 key of a blob. */
export function blobKey(spaceId: string, blobId: string): string {
  return `${spacePrefix(spaceId)}${blobId}`;
}

/** What the keys of all blobs of a space begin with. */
export function spacePrefix(spaceId: string): string {
  return `blobs/${spaceId}/`;
}

/** What the keys of all blobs of one stage begin with. */
export function stagePrefix(spaceId: string, stageId: string): string {
  return blobKey(spaceId, `${stageId}.`);
}

/**
 * Removes every blob under `prefix`. It can be stopped anywhere and repeated.
 *
 * @throws ToolError when the storage fails; some blobs may be gone then
 */
export async function removeBlobs(bucket: R2Bucket, prefix: string): Promise<void> {
  let options: R2ListOptions | null = { prefix };
  while (options !== null) {
    const listed: R2ListOptions = options;
    const page = await storageCall(() => bucket.list(listed));
    await deleteBlobs(
      bucket,
      page.objects.map(({ key }) => key),
    );
    options = page.truncated ? { prefix, cursor: page.cursor } : null;
  }
}

/** Deletes blobs by their keys, those that are not there included. @throws ToolError when the storage fails */
export async function deleteBlobs(bucket: R2Bucket, keys: string[]): Promise<void> {
  for (let i = 0; i < keys.length; i += DELETE_MAX_KEYS) {
    const some = keys.slice(i, i + DELETE_MAX_KEYS);
    await storageCall(() => bucket.delete(some));
  }
}
