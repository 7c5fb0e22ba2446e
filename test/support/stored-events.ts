import { type EventType, event as eventSchema, toTimestamp } from "../../src/protocol/events.ts";
import type { StoredEvent } from "./session-story.ts";
import type { SessionWorld } from "./session-world.ts";

type Row = { seq: number; type: EventType; turn_id: string | null; at: number; data: string | null };

/** The events above a seq, as they stand in the database, whichever process wrote them. */
export function storedEvents({ sql }: SessionWorld, after: number): StoredEvent[] {
  const rows = sql.exec<Row>("SELECT seq, type, turn_id, at, data FROM events WHERE seq > ? ORDER BY seq", after);
  return rows.map(({ at, data, ...row }) => {
    const { seq, type, turn_id } = row;
    if (type === "TEXT" || type === "THINKING") return { seq, type, turn_id };
    const event = { ...row, cursor: `${seq}`, timestamp: toTimestamp(at), data: JSON.parse(data ?? "null") };
    return eventSchema.parse(event);
  });
}
