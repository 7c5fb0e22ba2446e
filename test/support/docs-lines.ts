/** The lines to be typed of a page: those of its indented blocks. */
export function linesOf(page: string): string[] {
  return [...page.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = ""]) => line);
}
