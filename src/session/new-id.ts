import { monotonicFactory } from "ulid";
import type { IdKind } from "../protocol/ids.ts";

const ulid = monotonicFactory();

/** A new id, above all that this process made before. */
export function newId(kind: IdKind): string {
  return `${kind}_${ulid()}`;
}
