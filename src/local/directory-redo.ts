import * as z from "zod";
import type { Json } from "../protocol/json.ts";

/**
 * What a call has decided to change, as it is stored until it is done. A version is null where there is no file; the
 * bytes of a file that is written are staged under `staged`.
 */
const change = z.strictObject({
  path: z.string(),
  before: z.string().nullable(),
  after: z
    .strictObject({
      staged: z.string().regex(/^[\w.-]+$/),
      size: z.int(),
      content_type: z.string(),
      sha256: z.string(),
    })
    .nullable(),
});
const redoList = z.strictObject({ changes: z.array(change) });

export type RedoChange = z.infer<typeof change>;

export function formatRedo(changes: RedoChange[]): Json {
  return { changes };
}

/** @throws for what `formatRedo` did not make */
export function parseRedo(redo: Json): RedoChange[] {
  return redoList.parse(redo).changes;
}

/** The names of the staged bytes that are still needed to do it. */
export function stagedNamesOf(redo: Json): string[] {
  return parseRedo(redo).flatMap(({ after }) => (after === null ? [] : [after.staged]));
}

/**
 * In an order in which each can be done: a file that must go before another can stand in its place, or in that of its
 * folder, goes first; whatever else goes, goes last, so that a folder that is still needed does not go with it.
 */
export function inOrder(changes: RedoChange[]): RedoChange[] {
  const written = changes.filter(({ after }) => after !== null);
  const removed = changes.filter(({ after }) => after === null);
  const isInTheWay = ({ path }: RedoChange) =>
    written.some((other) => other.path.startsWith(`${path}/`) || path.startsWith(`${other.path}/`));
  return [...removed.filter(isInTheWay), ...written, ...removed.filter((one) => !isInTheWay(one))];
}
