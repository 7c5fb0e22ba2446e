import type * as z from "zod";
import { invalidRequest } from "../protocol/errors.ts";
import { parseJson } from "../protocol/json.ts";

/**
 * A body as the HTTP routes take it: what is no JSON, or more than they take, is refused here too.
 *
 * @throws GatewayError `invalid_request`, `too_large`
 */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(parseJson(JSON.stringify(body)));
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error);
}
