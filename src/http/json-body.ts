import { createMiddleware } from "hono/factory";
import { GatewayError } from "../protocol/errors.ts";
import { parseJson } from "../protocol/json.ts";
import { JSON_MAX_BYTES } from "../protocol/limits.ts";
import type { AppEnv } from "./app-env.ts";
import { readBody } from "./read-body.ts";

/**
 * Stands before the schema of every JSON body, since the library's own parser knows no limit of size or depth and takes
 * more content types than the contract. No body at all counts as `{}`.
 */
export const jsonBody = createMiddleware<AppEnv>(async (c, next) => {
  const bytes = await readBody(c.req.raw, JSON_MAX_BYTES);
  let text = "{}";
  if (bytes.byteLength > 0) {
    if (!isJson(c.req.header("content-type"))) {
      throw new GatewayError("unsupported_media_type", "Send the body as application/json.");
    }
    text = decodeUtf8(bytes);
    parseJson(text);
  }
  const read = new Request(c.req.raw, { body: text });
  read.headers.set("content-type", "application/json");
  c.req.raw = read;
  await next();
});

function isJson(contentType: string | undefined): boolean {
  return contentType?.split(";")[0]?.trim().toLowerCase() === "application/json";
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new GatewayError("invalid_request", "The body is not valid UTF-8.");
  }
}
