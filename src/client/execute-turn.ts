import { errorCode, GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import { eventPage, type SubmitTurnBody } from "../protocol/rest.ts";
import { sessionPath } from "./api-paths.ts";
import { Connection, openSocket, type SocketConstructor } from "./connection.ts";
import { followFrames, isEvent, type StreamOptions, type StreamSource } from "./follow-frames.ts";
import type { HttpClient } from "./http.ts";

/** Marks the answers to our `execute` frame. */
const EXECUTE_ID = "execute";

export type SocketOptions = {
  WebSocket: SocketConstructor | undefined;
  pingEveryMs: number | undefined;
};

/** A session's socket. */
export function streamOf(
  http: HttpClient,
  sessionId: string,
  { WebSocket, pingEveryMs }: SocketOptions,
  signal: AbortSignal,
): StreamSource {
  const path = sessionPath(sessionId);
  return {
    connect: (after) => {
      const url = http.url(`${path}/stream`, { after: after ?? undefined });
      return new Connection(openSocket(url.replace(/^http/, "ws"), http.headers, WebSocket), pingEveryMs);
    },
    // A WebSocket does not tell the status of a failed handshake, so the same position is asked for over HTTP.
    refusal: async (after) => {
      try {
        const query = { after: after ?? undefined, limit: 1 };
        await http.call(eventPage, { method: "GET", path: `${path}/events`, query, signal });
        return null;
      } catch (thrown) {
        if (!(thrown instanceof GatewayError)) throw thrown;
        return thrown.status >= 500 || thrown.status === 429 ? null : thrown;
      }
    },
  };
}

/**
 * Submits a message by frame, and yields the events of its turn up to and with ITERATION_END. With its key the frame can
 * be sent again when it is not known whether it arrived.
 *
 * @throws GatewayError why the message was refused, and as `followFrames`
 */
export async function* executeTurn(
  source: StreamSource,
  message: SubmitTurnBody & { idempotency_key: string },
  options: Pick<StreamOptions, "signal" | "giveUpAfterMs">,
): AsyncGenerator<Event> {
  const heldBack: Event[] = [];
  let turnId: string | null = null;
  const frames = followFrames(source, {
    ...options,
    after: null,
    onConnected: (connection) => {
      if (turnId === null) connection.send({ type: "execute", data: message, id: EXECUTE_ID });
    },
  });
  for await (const frame of frames) {
    // A turn's first events may come before the frame that says which turn it is.
    if (isEvent(frame)) heldBack.push(frame);
    else if (frame.type === "accepted" && frame.id === EXECUTE_ID) turnId = frame.data.turn_id;
    else if (frame.type === "error" && frame.id === EXECUTE_ID) throw refusalOf(frame.data);
    if (turnId === null) continue;
    for (const event of heldBack.splice(0)) {
      if (event.turn_id !== turnId) continue;
      yield event;
      if (event.type === "ITERATION_END") return;
    }
  }
}

function refusalOf({ code, message }: { code: string; message: string }): GatewayError {
  const known = errorCode.safeParse(code);
  return new GatewayError(known.success ? known.data : "internal", message);
}
