import type * as z from "zod";
import { EVENT_TYPES, type EventType, event } from "../protocol/events.ts";
import { controlFrame, type ServerFrame } from "../protocol/frames.ts";

/**
 * What a gateway sent, as this version knows it: fields that it does not know, as a newer gateway may send, are taken out
 * of `value`. Null for what else does not fit.
 */
export function understand<T>(schema: z.ZodType<T>, value: unknown): T | null {
  for (;;) {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    // Each round takes something out, so this ends.
    if (!takeOutUnknown(value, parsed.error.issues)) return null;
  }
}

/** A frame; or an event that only a newer client knows, of which its place counts all the same. */
export type Understood = { frame: ServerFrame } | { passedOver: { seq: number; cursor: string } };

/**
 * A frame as it came; null for one of a type that this client does not know and that is no event. An event is passed
 * over where its type, or its status, is not known.
 *
 * @returns "malformed" for what no gateway sends
 */
export function understandFrame(value: unknown): Understood | null | "malformed" {
  const type = fieldOf(value, "type");
  if (typeof type !== "string") return "malformed";
  if (isControlType(type)) return orMalformed(understand(controlFrame, value));
  const isKnown = isEventType(type) && (type !== "STATUS" || STATUSES.has(fieldOf(fieldOf(value, "data"), "status")));
  if (isKnown) return orMalformed(understand(event, value));
  const seq = fieldOf(value, "seq");
  const cursor = fieldOf(value, "cursor");
  if (typeof seq === "number" && typeof cursor === "string") return { passedOver: { seq, cursor } };
  return isEventType(type) ? "malformed" : null;
}

const CONTROL_TYPES: ReadonlySet<string> = new Set(controlFrame.options.map(({ shape }) => shape.type.value));
const TYPES: ReadonlySet<string> = new Set(EVENT_TYPES);
const STATUSES: ReadonlySet<unknown> = new Set(
  event.options.flatMap(({ shape }) =>
    shape.type.value === "STATUS" && "options" in shape.data
      ? shape.data.options.map((option) => option.shape.status.value)
      : [],
  ),
);

function isControlType(type: string): boolean {
  return CONTROL_TYPES.has(type);
}

function isEventType(type: string): type is EventType {
  return TYPES.has(type);
}

function orMalformed(frame: ServerFrame | null): Understood | "malformed" {
  return frame === null ? "malformed" : { frame };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** Removes the fields that a schema does not know; false where it found none. */
function takeOutUnknown(value: unknown, issues: readonly z.core.$ZodIssue[]): boolean {
  let found = false;
  for (const issue of issues) {
    const at = issue.path.reduce<unknown>((inner, key) => fieldOf(inner, String(key)), value);
    if (issue.code === "unrecognized_keys" && typeof at === "object" && at !== null) {
      for (const key of issue.keys) found = Reflect.deleteProperty(at, key) || found;
    } else if (issue.code === "invalid_union") {
      // Of the shapes that it might have, that from which nothing but unknown fields keeps it.
      const fitting = issue.errors.find((branch) => branch.every(({ code }) => code === "unrecognized_keys"));
      if (fitting !== undefined && fitting.length > 0) found = takeOutUnknown(at, fitting) || found;
    }
  }
  return found;
}
