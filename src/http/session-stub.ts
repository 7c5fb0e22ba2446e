import * as z from "zod";
import { notFound, problem } from "../protocol/errors.ts";
import type { EventType } from "../protocol/events.ts";
import { sessionId } from "../protocol/ids.ts";
import type { Principal } from "../protocol/principal.ts";
import { STREAM_REQUEST } from "../session/session-api.ts";
import { noteSocket } from "./note-socket.ts";
import { refusalOf, unwrap } from "./problem-response.ts";

/** The object of a session. An id that no session can have gets the answer for a session that does not exist. */
export function sessionOf(env: Cloudflare.Env, id: string) {
  if (!sessionId.safeParse(id).success) throw notFound();
  return env.SESSIONS.getByName(id);
}

export type StreamOptions = {
  /** Where the stream begins; null means with what happens from now on. */
  after: string | null;
  types: EventType[] | null;
  /** Whether the gateway itself reads, for an SSE stream or a wait. */
  reader: boolean;
};

/**
 * Opens a socket on a session's object. The answer is the 101 with the socket.
 *
 * @throws GatewayError what the object refuses it with
 */
export async function openStream(
  env: Cloudflare.Env,
  asking: Principal,
  id: string,
  { after, types, reader }: StreamOptions,
): Promise<Response & { webSocket: WebSocket }> {
  const url = new URL(STREAM_REQUEST.path);
  if (after !== null) url.searchParams.set("after", after);
  if (types !== null) url.searchParams.set("types", types.join(","));
  if (reader) {
    url.searchParams.set(STREAM_REQUEST.readerParam, "1");
    url.searchParams.set(STREAM_REQUEST.togetherParam, "1");
  }
  const object = sessionOf(env, id);
  await noteSocket(env, asking, id, async () => unwrap(await object.describe(asking)));
  const response = await object.fetch(url, {
    headers: { upgrade: "websocket", [STREAM_REQUEST.principalHeader]: asciiJson(asking) },
  });
  if (hasSocket(response)) return response;
  const refusal = z.safeParse(problem, await response.json().catch(() => null));
  if (!refusal.success) throw new Error(`The session's object answered a stream request with ${response.status}.`);
  throw refusalOf(refusal.data);
}

function hasSocket(response: Response): response is Response & { webSocket: WebSocket } {
  return response.webSocket !== null;
}

/** JSON in characters that a header may carry. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
