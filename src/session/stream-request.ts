import { type EventType, eventType } from "../protocol/events.ts";
import { type Principal, principal } from "../protocol/principal.ts";
import { STREAM_REQUEST } from "./session-api.ts";

export type StreamRequest = {
  asking: Principal;
  /** A cursor; null: what happens from now on. */
  after: string | null;
  types: EventType[] | null;
  reader: boolean;
  together: boolean;
};

/** What the gateway's Worker asks for when it opens a socket. @throws ZodError for what that Worker never sends */
export function parseStreamRequest(request: Request): StreamRequest {
  const query = new URL(request.url).searchParams;
  return {
    asking: principal.parse(JSON.parse(request.headers.get(STREAM_REQUEST.principalHeader) ?? "null")),
    after: query.get("after"),
    types: eventType
      .array()
      .nullable()
      .parse(query.get("types")?.split(",") ?? null),
    reader: query.get(STREAM_REQUEST.readerParam) === "1",
    together: query.get(STREAM_REQUEST.togetherParam) === "1",
  };
}
