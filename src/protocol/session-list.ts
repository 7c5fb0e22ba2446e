import * as z from "zod";
import { time } from "./events.ts";
import { sessionId } from "./ids.ts";
import { formatPageCursor, parsePageCursor } from "./page-cursor.ts";
import { type Session, type SessionPage, session } from "./rest.ts";

/** Where a page of sessions ended: the sort key of its last one. */
const position = z.tuple([time, sessionId]);

/** @throws GatewayError `bad_cursor` */
export function parseSessionCursor(cursor: string): [updatedAt: string, sessionId: string] {
  return parsePageCursor(cursor, position);
}

/** A page of a list of sessions, from the JSON of those that follow in it: one more than the page may hold, if there is. */
export function toSessionPage(summaries: readonly string[], limit: number): SessionPage {
  const sessions = summaries.slice(0, limit).map(parseSummary);
  const last = summaries.length > limit ? sessions.at(-1) : undefined;
  return { sessions, next_cursor: last === undefined ? null : formatPageCursor([last.updated_at, last.session_id]) };
}

/** A session as a list of sessions keeps it. */
export function parseSummary(json: string): Session {
  return session.parse(JSON.parse(json));
}

/** A title as it is searched: case does not matter, nor how an accent is put together. SQLite knows ASCII's case alone. */
export function foldTitle(text: string): string {
  return text.normalize("NFC").toLowerCase();
}
