/**
 * Text from a model or a tool without what a terminal would obey: control characters but tab and line feed, among
 * them the escape that begins every terminal command. Works on any piece of a text by itself.
 */
export function sanitize(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

/** The same for what belongs on one line, such as a title or a path. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replaceAll(/[\n\t]+/g, " ");
}
