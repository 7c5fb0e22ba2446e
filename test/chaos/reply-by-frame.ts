import { errorCode, GatewayError } from "../../src/protocol/errors.ts";
import { CLOSE_CODES, type ClientFrame, serverFrame } from "../../src/protocol/frames.ts";
import type { Reply } from "./host.ts";

/**
 * Replies over a socket of its own. Nothing is said to a reply that was taken, so a ping goes behind it: frames are taken
 * in their order, and a pong with no error before it says that all before it is stored.
 *
 * @throws GatewayError what the session refuses it with, or `unavailable` where the socket broke before it said anything
 */
export function replyByFrame(url: string, token: string, reply: Reply): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { authorization: `Bearer ${token}` };
  const socket = new WebSocket(url.replace(/^http/, "ws"), { headers });
  const send = (frame: ClientFrame) => socket.send(JSON.stringify(frame));
  socket.addEventListener("open", () => {
    send(frameOf(reply));
    send({ type: "ping", id: "after" });
  });
  socket.addEventListener("message", ({ data }) => {
    const frame = serverFrame.parse(JSON.parse(String(data)));
    if (frame.type === "error") reject(new GatewayError(errorCode.parse(frame.data.code), frame.data.message));
    else if (frame.type === "pong") resolve();
    else return;
    socket.close();
  });
  const lost = () => reject(new GatewayError("unavailable", "The socket broke."));
  socket.addEventListener("error", lost);
  socket.addEventListener("close", ({ code }) => {
    if (code === CLOSE_CODES.no_session || code === CLOSE_CODES.deleted) {
      reject(new GatewayError("not_found", "There is no such session."));
    } else lost();
  });
  return promise;
}

function frameOf(reply: Reply): ClientFrame {
  if ("input_id" in reply) return { type: "input_response", data: reply, id: "reply" };
  return { type: "tool_result", data: reply, id: "reply" };
}
