import { GatewayError, invalidRequest, toGatewayError } from "../protocol/errors.ts";
import { type ClientFrame, type ControlFrame, clientFrame, frameIdValue } from "../protocol/frames.ts";
import { parseJson } from "../protocol/json.ts";

/** @throws GatewayError for whatever is no frame of a client's */
export function parseClientFrame(message: string | ArrayBuffer): ClientFrame {
  if (typeof message !== "string") throw new GatewayError("invalid_request", "Frames are JSON text.");
  const json = parseJson(message);
  const frame = clientFrame.safeParse(json);
  if (frame.success) return frame.data;
  throw new FrameError(invalidRequest(frame.error, "frame"), idOf(json));
}

/** An error about a frame whose id could be read. */
class FrameError extends GatewayError {
  readonly id: string | number | undefined;

  constructor({ code, message, errors }: GatewayError, id: string | number | undefined) {
    super(code, message, errors);
    this.id = id;
  }
}

/** The answer to a frame that failed; the socket stays open. */
export function errorFrame(thrown: unknown, id?: string | number): ControlFrame {
  const { code, message } = toGatewayError(thrown);
  const echoed = thrown instanceof FrameError ? thrown.id : id;
  return { type: "error", data: { code, message }, ...(echoed === undefined ? {} : { id: echoed }) };
}

function idOf(json: unknown): string | number | undefined {
  const id = typeof json === "object" && json !== null && "id" in json ? json.id : undefined;
  return frameIdValue.safeParse(id).data;
}
