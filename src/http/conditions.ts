import { GatewayError, invalidField } from "../protocol/errors.ts";
import type { Conditions } from "../session/session-api.ts";

type Tags = "*" | string[] | null;

/** One entity tag and what follows it (RFC 9110, section 8.8.3). */
const TAG = /[ \t,]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*"))[ \t]*(?=,|$)/y;

/**
 * `If-Match` and `If-None-Match` (RFC 9110, section 13.1). Weak tags never match the one, and match the other as if
 * they were strong: the ETags here are all strong.
 *
 * @throws GatewayError `invalid_request` for what is not a list of entity tags
 */
export function parseConditions(headers: Headers): Conditions {
  return {
    ifMatch: parseTags(headers, "if-match", "drop weak"),
    ifNoneMatch: parseTags(headers, "if-none-match", "keep weak"),
  };
}

/**
 * Whether a file's content may be sent to a client that set conditions; false means that the client has it already.
 *
 * @throws GatewayError `precondition_failed`
 */
export function mustSend(etag: string, { ifMatch, ifNoneMatch }: Conditions): boolean {
  if (ifMatch !== null && !matches(ifMatch, etag)) {
    throw new GatewayError("precondition_failed", "The file is not the one that If-Match names.");
  }
  return ifNoneMatch === null || !matches(ifNoneMatch, etag);
}

function matches(tags: "*" | string[], etag: string): boolean {
  return tags === "*" || tags.includes(etag);
}

function parseTags(headers: Headers, name: string, weak: "drop weak" | "keep weak"): Tags {
  const text = headers.get(name)?.trim();
  if (text === undefined) return null;
  if (text === "*") return "*";
  const tags: string[] = [];
  TAG.lastIndex = 0;
  while (TAG.lastIndex < text.length) {
    const match = TAG.exec(text);
    if (match?.[2] === undefined) throw invalidField(name, "a list of entity tags, or *");
    if (match[1] === undefined || weak === "keep weak") tags.push(match[2]);
  }
  if (text === "") throw invalidField(name, "a list of entity tags, or *");
  return tags;
}
