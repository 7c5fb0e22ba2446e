/**
 * What a terminal obeys: control characters but tab and line feed, among them those that begin every terminal command,
 * and the characters by which text is shown in another order than it has.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be found
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from elsewhere without what a terminal would obey. Works on any piece of a text by itself. */
export function sanitize(text: string): string {
  return text.replace(OBEYED, "");
}

/** The same for what belongs on one line, such as a title or a path. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replaceAll(/[\n\t]+/g, " ");
}

/** A value as a line of JSON, in which what a terminal would obey is escaped, so that nothing of it is left out. */
export function jsonLine(value: unknown): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(OBEYED, escaped)}\n`;
}
