import type { EventType } from "../../src/protocol/events.ts";
import { type EventPage, eventPage } from "../../src/protocol/rest.ts";
import type { EventLog } from "../../src/session/event-log.ts";

/** A page as it crosses the wire, of which each event is what the contract says. */
export function parsePage(page: string | EventPage): EventPage {
  return eventPage.parse(typeof page === "string" ? JSON.parse(page) : page);
}

export function pageOf(
  log: EventLog,
  after: string,
  limit: number,
  types: ReadonlySet<EventType> | null = null,
): EventPage {
  return parsePage(log.page(after, limit, types));
}
