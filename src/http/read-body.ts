import { GatewayError } from "../protocol/errors.ts";

/**
 * The chunks of a request's body.
 *
 * @throws GatewayError `too_large` as soon as that is known, `unsupported_media_type` for a compressed body,
 * `invalid_request` for one that breaks off
 */
export async function* bodyChunks(request: Request, maxBytes: number): AsyncGenerator<Uint8Array, void> {
  checkBody(request, maxBytes);
  if (request.body === null) return;
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield chunk;
    }
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    throw new GatewayError("invalid_request", "The body broke off.");
  }
}

/** Reads a body whole. Throws as `bodyChunks` does. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(request, maxBytes)) {
    chunks.push(chunk);
    size += chunk.byteLength;
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/** What can be said of a body before it is read. Throws as `bodyChunks` does. */
export function checkBody(request: Request, maxBytes: number): void {
  if ((declaredLength(request) ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity") {
    throw new GatewayError("unsupported_media_type", "Send the body without a Content-Encoding.");
  }
}

/** `Content-Length`, or null for a body that does not say how long it is. */
export function declaredLength(request: Request): number | null {
  const length = request.headers.get("content-length");
  return length !== null && /^[0-9]+$/.test(length) ? Number(length) : null;
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError("too_large", `The body may have at most ${maxBytes} bytes.`);
}
