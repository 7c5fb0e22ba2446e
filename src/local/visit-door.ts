import { createConnection, type Socket } from "node:net";
import { bytesOf } from "../protocol/bytes-of.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import type { AnsweredInput, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { DOOR_REQUEST_MAX_BYTES, NEVER_ACKED_MAX_BYTES } from "../protocol/limits.ts";
import type { Cancelled } from "../protocol/rest.ts";
import { doorAddress } from "./door-address.ts";
import { type DoorAnswer, type DoorRequest, LineReader, parseAnswer } from "./door-wire.ts";
import { hasCode } from "./error-codes.ts";

/**
 * The events of a session that another process holds, after a cursor, then live. Ends when the connection does: the
 * holder has gone, or this reader was too far behind. Whoever wants more asks who holds the session now.
 *
 * @throws GatewayError for a refusal, such as `bad_cursor`; the signal's reason
 */
export async function* followDoor(path: string, after: string, signal?: AbortSignal): AsyncGenerator<Event> {
  for await (const answer of visit(path, { type: "follow", after }, signal)) {
    if (isEvent(answer)) yield answer;
  }
}

/**
 * Has the holder of a session cancel its running turn; resolves once that has stopped. Null if nobody answers: the
 * holder has gone. The same holds for all that follow here.
 *
 * @throws GatewayError for a refusal; the signal's reason
 */
export async function cancelThroughDoor(path: string, signal?: AbortSignal): Promise<Cancelled | null> {
  const answer = await ask(path, { type: "cancel" }, signal);
  return answer?.type === "cancelled" ? answer.data : null;
}

/** Has it settle what people were asked. One that went without a word may have settled it. */
export async function answerThroughDoor(
  path: string,
  data: { input_id: string; response: string },
  signal?: AbortSignal,
): Promise<AnsweredInput | null> {
  const answer = await ask(path, { type: "answer", data }, signal);
  return answer?.type === "answered" ? answer.data : null;
}

/** Has it take the result of a client's tool. One that went without a word may have taken it. */
export async function giveThroughDoor(
  path: string,
  data: { tool_use_id: string } & ToolResultBody,
  signal?: AbortSignal,
): Promise<TakenToolResult | null> {
  const answer = await ask(path, { type: "give", data }, signal);
  return answer?.type === "taken" ? answer.data : null;
}

/** The one answer to a request; null where the holder has gone. */
async function ask(path: string, request: DoorRequest, signal?: AbortSignal): Promise<Granted | null> {
  for await (const answer of visit(path, request, signal)) return answer;
  return null;
}

function isEvent(answer: Granted): answer is Event {
  return "seq" in answer;
}

/** How a connection ends that has no holder at its other end, or no more. */
const GONE = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"];

type Granted = Exclude<DoorAnswer, { type: "error" }>;

/** Asks one thing, and yields what is answered until the connection ends. @throws GatewayError for a refusal */
async function* visit(path: string, request: DoorRequest, signal?: AbortSignal): AsyncGenerator<Granted> {
  signal?.throwIfAborted();
  const line = JSON.stringify(request);
  // Said here: whoever writes on to a holder that has refused may not get to know why.
  if (bytesOf(line) > DOOR_REQUEST_MAX_BYTES) {
    throw new GatewayError("too_large", `What is said to another process may have ${DOOR_REQUEST_MAX_BYTES} bytes.`);
  }
  const lines = new LineReader(NEVER_ACKED_MAX_BYTES);
  const socket = createConnection(doorAddress(path));
  const hangUp = () => socket.destroy();
  signal?.addEventListener("abort", hangUp);
  try {
    socket.write(`${line}\n`);
    for await (const chunk of chunksOf(socket)) {
      for (const line of lines.take(chunk)) {
        signal?.throwIfAborted();
        const answer = parseAnswer(line);
        if (answer.type === "error") throw new GatewayError(answer.data.code, answer.data.message);
        yield answer;
      }
    }
    signal?.throwIfAborted();
  } catch (thrown) {
    // Hanging up breaks the connection too, in ways that depend on how far it had come.
    signal?.throwIfAborted();
    throw thrown;
  } finally {
    signal?.removeEventListener("abort", hangUp);
    socket.destroy();
  }
}

/** What comes from a holder until it goes. @throws GatewayError `unavailable` where it may not be asked */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  try {
    yield* socket;
  } catch (thrown) {
    if (hasCode(thrown, ...GONE)) return;
    const why = thrown instanceof Error && "code" in thrown ? ` (${thrown.code})` : "";
    throw new GatewayError("unavailable", `The process that holds the session cannot be reached${why}.`);
  }
}
