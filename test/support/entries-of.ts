import type { Event } from "../../src/protocol/events.ts";
import { type Entry, LogFollower } from "./log-follower.ts";

/** What a reader of a session's events, from its first one on, has in the end. @throws for a repetition or a hole */
export function entriesOf(events: Event[]): Map<number, Entry> {
  const follower = new LogFollower("0", 0);
  for (const event of events) follower.take(event);
  return follower.entries;
}
