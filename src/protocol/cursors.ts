/**
 * A position in a session's event log. Opaque to clients.
 *
 * `<seq>` says that everything up to and including `seq` was sent. `<seq>~<block>.<offset>` says the same, but that
 * of the block with seq `block`, which was open, only the first `offset` UTF-16 code units were sent. Both parts are
 * needed because events may be appended while a block streams.
 */
export type Cursor = { seq: number; block?: { seq: number; offset: number } };

const NUMBER = "(0|[1-9][0-9]{0,14})";
const CURSOR = new RegExp(`^${NUMBER}(?:~${NUMBER}\\.${NUMBER})?$`);

/** The cursor before the first event. */
export const START: Cursor = { seq: 0 };

/** The text that clients are given. */
export function formatCursor({ seq, block }: Cursor): string {
  return block === undefined ? `${seq}` : `${seq}~${block.seq}.${block.offset}`;
}

/** Returns null for whatever was not made by `formatCursor`. */
export function parseCursor(text: string): Cursor | null {
  const match = CURSOR.exec(text);
  if (match === null) return null;
  const seq = Number(match[1]);
  if (match[2] === undefined) return { seq };
  const block = { seq: Number(match[2]), offset: Number(match[3]) };
  return block.seq >= 1 && block.seq <= seq ? { seq, block } : null;
}
