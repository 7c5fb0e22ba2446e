import { errorCode, GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import type { SubmitTurnBody } from "../protocol/rest.ts";
import { followFrames, isEvent, type StreamOptions, type StreamSource } from "./follow-frames.ts";

/** Marks the answers to our `execute` frame. */
const EXECUTE_ID = "execute";

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
