import { GatewayError } from "../protocol/errors.ts";
import { FILE_MAX_BYTES, STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import { hexSha256, toHex } from "../protocol/sha256.ts";
import { bodyChunks, declaredLength, readBody } from "./read-body.ts";
import { storageFailure, within } from "./within.ts";

/**
 * Stores a request's body under `key`, counting and hashing it on its way. R2 wants to know a stream's length before
 * it comes, so a body that does not say its own is read first.
 *
 * @throws GatewayError `too_large`, `invalid_request` for a body that breaks off, `unavailable`
 */
export async function uploadBody(
  request: Request,
  bucket: R2Bucket,
  key: string,
): Promise<{ size: number; sha256: string }> {
  const length = declaredLength(request);
  if (length === null || length === 0) {
    const bytes = await readBody(request, FILE_MAX_BYTES);
    await within(STORAGE_TIMEOUT_MS, bucket.put(key, bytes));
    return { size: bytes.byteLength, sha256: await hexSha256(bytes) };
  }
  const sized = new FixedLengthStream(length);
  const hash = new crypto.DigestStream("SHA-256");
  let bodyFailure: unknown;
  const body = telling(ofLength(length, bodyChunks(request, FILE_MAX_BYTES)), (thrown) => {
    bodyFailure = thrown;
  });
  try {
    const stored = bucket.put(key, sized.readable);
    const pumped = pump(body, [sized.writable, hash]);
    const done = pumped.then(() => within(STORAGE_TIMEOUT_MS, stored));
    const [digest] = await Promise.all([hash.digest, stored, done]);
    return { size: length, sha256: toHex(new Uint8Array(digest)) };
  } catch (thrown) {
    // What becomes of a put whose body fails is no failure of the storage's.
    throw bodyFailure ?? storageFailure(thrown);
  }
}

/** The same chunks; `failed` is told what their source throws before anyone else is. */
async function* telling(
  chunks: AsyncIterable<Uint8Array>,
  failed: (thrown: unknown) => void,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks;
  } catch (thrown) {
    failed(thrown);
    throw thrown;
  }
}

async function* ofLength(length: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let left = length;
  for await (const chunk of chunks) {
    left -= chunk.byteLength;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0) throw new GatewayError("invalid_request", "The body is not as long as its Content-Length says.");
}

/** Writes every chunk to every sink, at the pace of the slowest. */
async function pump(chunks: AsyncIterable<Uint8Array>, sinks: WritableStream<Uint8Array>[]): Promise<void> {
  const writers = sinks.map((sink) => sink.getWriter());
  try {
    for await (const chunk of chunks) {
      await within(STORAGE_TIMEOUT_MS, Promise.all(writers.map((writer) => writer.write(chunk))));
    }
    await within(STORAGE_TIMEOUT_MS, Promise.all(writers.map((writer) => writer.close())));
  } catch (thrown) {
    await Promise.allSettled(writers.map((writer) => writer.abort(thrown)));
    throw thrown;
  }
}
