import { LOG_FRAMES_MAX, LOG_MESSAGE_MAX_CHARS } from "../protocol/limits.ts";

/** What is told of an error. `cause` is the name and the message of what caused it. */
export type LoggedError = { name: string; message: string; code?: string; cause?: string; stack?: string };

/** What the gateway's own secrets are: errors of others may repeat what they were given. */
const secrets = new Set<string>();
let longestSecret = 0;

/** Makes sure that no message of an error shows these. */
export function hideFromLog(values: readonly (string | undefined)[]): void {
  for (const value of values) {
    if (!value) continue;
    for (const form of [value, encodeURIComponent(value.toWellFormed())]) {
      secrets.add(form);
      longestSecret = Math.max(longestSecret, form.length);
    }
  }
}

/**
 * What was thrown, as the log may show it. Nobody knows what unforeseen errors repeat: a piece of the JSON that was
 * parsed, the address that was called, the header that was refused. So of a message the words are kept, and whatever
 * stands in quotes, looks like an address or is as long as a key is left out. Of the stack only the places are kept.
 */
export function describeError(thrown: unknown): LoggedError {
  if (!(thrown instanceof Error))
    return { name: typeof thrown, message: typeof thrown === "string" ? mask(thrown) : "" };
  const stack = framesOf(thrown);
  const code = codeOf(thrown);
  return {
    ...shown(thrown),
    ...(code === null ? {} : { code }),
    ...(thrown.cause instanceof Error ? { cause: textOf(shown(thrown.cause)) } : {}),
    ...(stack === "" ? {} : { stack }),
  };
}

function shown({ name, message }: Error): { name: string; message: string } {
  return { name: /^\w{1,64}$/.test(name) && !holdsSecret(name) ? name : "Error", message: mask(message) };
}

function textOf({ name, message }: { name: string; message: string }): string {
  return message === "" ? name : `${name}: ${message}`;
}

/** Codes are words; whatever else stands there is none. */
function codeOf(thrown: Error): string | null {
  const code = "code" in thrown ? String(thrown.code) : "";
  return /^\w{1,40}$/.test(code) && !holdsSecret(code) ? code : null;
}

/** A quote ends where the last one of its kind does, since what is quoted may hold quotes; one that does not end has the rest. */
const QUOTED = [/"(?:[\s\S]*"|[\s\S]*)/g, /`(?:[\s\S]*`|[\s\S]*)/g, /(?<!\w)'(?:[\s\S]*'(?!\w)|[\s\S]*)/g];
const CREDENTIALS = /\b(bearer|basic)\s+\S+/gi;
const ADDRESS = /\b[a-z][a-z0-9+.-]*:\/\/\S+/gi;
/** The longest words of messages are shorter, and every token, key, ticket and id is longer. */
const LONG_RUN = /[\w+/=.~%-]{20,}/g;

/** How much of a message is read: what is masked makes it shorter. */
const READ_MESSAGE_CHARS = 4 * LOG_MESSAGE_MAX_CHARS;

function mask(text: string): string {
  let masked = withoutSecrets(text, READ_MESSAGE_CHARS);
  // The word at the cut may be the beginning of a key, too short to be known as one.
  if (text.length > READ_MESSAGE_CHARS) masked = masked.replace(/(?<!\S)\S*$/, "[…]");
  for (const quoted of QUOTED) masked = masked.replace(quoted, "[…]");
  masked = masked.replace(CREDENTIALS, "$1 […]").replace(ADDRESS, "[…]").replace(LONG_RUN, "[…]");
  return masked
    .replace(/[\s\p{Cc}]+/gu, " ")
    .slice(0, LOG_MESSAGE_MAX_CHARS)
    .toWellFormed();
}

/** So much of a text, without its secrets: they are looked for first, so that one across the end leaves no half. */
function withoutSecrets(text: string, maxChars: number): string {
  let without = "";
  let at = 0;
  for (const { start, end } of secretsIn(text.slice(0, maxChars + longestSecret))) {
    if (start >= maxChars) break;
    // One may lie in another, or begin in it.
    if (start >= at) without += `${text.slice(at, start)}[…]`;
    at = Math.max(at, end);
  }
  return without + text.slice(at, maxChars);
}

function holdsSecret(text: string): boolean {
  return secretsIn(text).length > 0;
}

/** Where secrets stand in a text, in the order in which they begin. */
function secretsIn(text: string): { start: number; end: number }[] {
  const places: { start: number; end: number }[] = [];
  for (const secret of secrets) {
    for (let start = text.indexOf(secret); start !== -1; start = text.indexOf(secret, start + 1))
      places.push({ start, end: start + secret.length });
  }
  return places.sort((a, b) => a.start - b.start);
}

/**
 * A place in the code: what is called, and where, with `…` where a secret was. A message may hold lines that look like it,
 * so it is taken off first.
 */
const FRAME = /^ {4}at [\w$.<>#[\] …]{0,100}\(?[\w$@./:[\]…-]{0,200}:\d+:\d+\)?$/;
/** How much of a stack is read: frames are shorter, and lines between them are none. */
const READ_STACK_CHARS = 1_000 * LOG_FRAMES_MAX;

function framesOf({ stack, message }: Error): string {
  const at = stack?.indexOf(message) ?? -1;
  if (stack === undefined || at === -1) return "";
  const frames = withoutSecrets(stack.slice(at + message.length), READ_STACK_CHARS)
    .split("\n")
    .filter((line) => FRAME.test(line));
  return frames.slice(0, LOG_FRAMES_MAX).join("\n");
}
