import { toHex } from "../protocol/sha256.ts";

/** Version, trace id, span id and flags: https://www.w3.org/TR/trace-context/#traceparent-header. Later versions may say more. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** The trace that a request says that it belongs to; null where it says none, or nothing that makes sense. */
export function traceIdFrom(traceparent: string | undefined): string | null {
  const [, version, traceId, more] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  return traceId === undefined || (version === "00" && more !== undefined) ? null : traceId;
}

/** A trace of its own: 128 random bits. */
export function newTraceId(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
