import { toGatewayError } from "../protocol/errors.ts";
import type { ClientFrame } from "../protocol/frames.ts";
import { type Principal, requireScope } from "../protocol/principal.ts";
import type { Session } from "./session.ts";
import { errorFrame, parseClientFrame } from "./socket-frames.ts";
import type { Sockets } from "./sockets.ts";

/**
 * Does what a client's frame asks for. Whatever is wrong with it is answered with an `error` frame; the socket stays
 * open.
 *
 * @param findSession the session as this principal may see it; throws GatewayError `not_found`
 */
export async function takeFrame(
  sockets: Sockets,
  socket: WebSocket,
  message: string | ArrayBuffer,
  findSession: (asking: Principal) => Session,
): Promise<void> {
  let id: ClientFrame["id"];
  try {
    const frame = parseClientFrame(message);
    id = frame.id;
    const asking = sockets.principalOf(socket);
    await obey(sockets, socket, frame, asking, findSession(asking));
  } catch (thrown) {
    if (toGatewayError(thrown).code === "internal") console.error("frame:", thrown);
    sockets.reply(socket, errorFrame(thrown, id));
  }
}

async function obey(
  sockets: Sockets,
  socket: WebSocket,
  frame: ClientFrame,
  asking: Principal,
  session: Session,
): Promise<void> {
  const echoed = frame.id === undefined ? {} : { id: frame.id };
  switch (frame.type) {
    case "ping":
      sockets.reply(socket, { type: "pong", ...echoed });
      return;
    case "ack":
      session.log.checkCursor(frame.data.cursor);
      sockets.acknowledge(socket, frame.data.cursor);
      return;
    case "cancel":
      requireScope(asking, "write");
      await session.cancel(frame.data?.turn_id);
      return;
    case "input_response": {
      requireScope(asking, "approve");
      const { input_id, response } = frame.data;
      session.answer(asking, input_id, response, "token");
      return;
    }
    case "tool_result": {
      requireScope(asking, "write");
      const { tool_use_id, ...result } = frame.data;
      session.takeResult(asking, tool_use_id, result);
      return;
    }
    case "execute": {
      requireScope(asking, "write");
      sockets.checkRoom(socket);
      const { idempotency_key = null, ...body } = frame.data;
      const { turn_id } = session.submit(asking, body, idempotency_key, (accepted) => {
        const { turn_id, status, steered } = accepted;
        sockets.expectResult(socket, turn_id, frame.id);
        sockets.reply(socket, { type: "accepted", data: { turn_id, status, steered }, ...echoed });
      });
      // A repeat of an execute whose turn has ended meanwhile has its result at once.
      sockets.completeEnded(socket, session.result(turn_id));
      return;
    }
  }
}
