import { monotonicFactory } from "ulid";
import type { IdKind } from "../protocol/ids.ts";

/** Above all that this process made before. */
export const nextUlid = monotonicFactory();

/** A new id, likewise. */
export function newId(kind: IdKind): string {
  return `${kind}_${nextUlid()}`;
}
