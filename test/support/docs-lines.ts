/** The lines to be typed of a page: those of its indented blocks. */
export function linesOf(page: string): string[] {
  return [...page.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = ""]) => line);
}

/** The indented blocks under each heading of a page, in its order, without their indentation. */
export function blocksOf(page: string): { heading: string; blocks: string[] }[] {
  return page.split(/^#+ /m).map((section) => {
    const [heading = ""] = section.split("\n", 1);
    const blocks = section.match(/(?:^ {4}.*\n(?:\n+(?= {4}))?)+/gm) ?? [];
    return { heading, blocks: blocks.map((block) => block.replaceAll(/^ {4}/gm, "")) };
  });
}

/** The first block under a heading. @throws Error where there is none */
export function firstBlockUnder(page: string, heading: string): string {
  const block = blocksOf(page).find((section) => section.heading === heading)?.blocks[0];
  if (block === undefined) throw new Error(`no lines under ${heading}`);
  return block;
}

/** What of a page is TypeScript: its blocks that begin with an import. */
export function isTypeScript(block: string): boolean {
  return block.startsWith("import ");
}
