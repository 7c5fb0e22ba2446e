import type { Event, EventType } from "../../protocol/events.ts";

/** An event as it is compared between sessions: what no two sessions share has a name instead. */
export type NormalEvent = { seq: number; type: EventType; turn: string | null; data: Record<string, unknown> };

/** Fields of an event's data that say when, or how long. A trace id is a turn's id in other letters. */
const TIMES: ReadonlySet<string> = new Set([
  "time_offset",
  "duration_seconds",
  "delay_seconds",
  "trace_id",
  "expires_at",
]);

const IDS = /\b(session|turn|input|stage|space|token)_[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z])/g;

/**
 * The normal form of events whose blocks are whole: ids (also inside texts), user ids and the workspace's name are named
 * in the order in which they come, times by what they are; `timestamp` and `cursor` are left out. Nothing else changes.
 */
export function normalise(events: readonly Event[]): NormalEvent[] {
  const names = new Names();
  return events.map(({ seq, type, turn_id, data }) => ({
    seq,
    type,
    turn: turn_id === null ? null : names.inText(turn_id),
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, normalField(key, value, names)])),
  }));
}

function normalField(key: string, value: unknown, names: Names): unknown {
  if (TIMES.has(key)) return `<${key}>`;
  // Where nobody answered in time, nobody is named.
  if (value !== null && (key === "user_id" || key === "workspace")) return names.of(key, String(value));
  return names.inJson(value);
}

/** Names for ids by the order in which they come. */
class Names {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  of(kind: string, id: string): string {
    const key = `${kind} ${id}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `<${kind} ${count}>`;
    this.#names.set(key, name);
    return name;
  }

  inText(text: string): string {
    return text.replace(IDS, (id, kind: string) => this.of(kind, id));
  }

  inJson(value: unknown): unknown {
    if (typeof value === "string") return this.inText(value);
    if (Array.isArray(value)) return value.map((inner) => this.inJson(inner));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.inJson(inner)]));
  }
}
