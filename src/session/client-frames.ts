import { logError } from "../logging/log.ts";
import { toGatewayError } from "../protocol/errors.ts";
import type { ClientFrame } from "../protocol/frames.ts";
import { type Principal, requireScope, type Scope } from "../protocol/principal.ts";
import type { Admission, Message } from "./admission.ts";
import type { Session } from "./session.ts";
import { errorFrame, parseClientFrame } from "./socket-frames.ts";
import type { Sockets } from "./sockets.ts";

/**
 * Does what a client's frame asks for. Whatever is wrong with it is answered with an `error` frame; the socket stays
 * open.
 *
 * @param admission what a frame has to pass that does something
 * @param findSession the session as this principal may see it; throws GatewayError `not_found`
 */
export async function takeFrame(
  sockets: Sockets,
  socket: WebSocket,
  message: string | ArrayBuffer,
  admission: Admission,
  findSession: (asking: Principal) => Session,
): Promise<void> {
  let id: ClientFrame["id"];
  try {
    const frame = parseClientFrame(message);
    id = frame.id;
    const asking = sockets.principalOf(socket);
    const scope = scopeFor(frame);
    if (scope === null) return await obey(sockets, socket, frame, asking, findSession(asking));
    requireScope(asking, scope);
    await admission.frame(asking, messageOf(frame), (session) => obey(sockets, socket, frame, asking, session));
  } catch (thrown) {
    const { code } = toGatewayError(thrown);
    if (code === "unauthenticated") return sockets.closeUnauthenticated(socket);
    if (code === "internal") logError("frame", thrown);
    sockets.reply(socket, errorFrame(thrown, id));
  }
}

/** The scope that a frame needs which does something; null for one that does nothing to the session. */
function scopeFor({ type }: ClientFrame): Scope | null {
  switch (type) {
    case "execute":
    case "cancel":
    case "tool_result":
      return "write";
    case "input_response":
      return "approve";
    case "ack":
    case "ping":
      return null;
  }
}

function messageOf(frame: ClientFrame): Message | null {
  if (frame.type !== "execute") return null;
  const { idempotency_key = null, ...body } = frame.data;
  return { body, key: idempotency_key };
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
      await session.cancel(frame.data?.turn_id);
      return;
    case "input_response": {
      const { input_id, response } = frame.data;
      session.answer(asking, input_id, response, "token");
      return;
    }
    case "tool_result": {
      const { tool_use_id, ...result } = frame.data;
      session.takeResult(asking, tool_use_id, result);
      return;
    }
    case "execute": {
      sockets.checkRoom(socket);
      const { idempotency_key = null, ...body } = frame.data;
      const { turn_id } = session.submit(asking, body, idempotency_key, (accepted) => {
        const { turn_id, status, steered } = accepted;
        sockets.expectResult(socket, turn_id, frame.id);
        sockets.reply(socket, { type: "accepted", data: { turn_id, status, steered }, ...echoed });
      });
      // A repeat of an execute whose turn has ended meanwhile has its result at once.
      if (idempotency_key !== null) sockets.completeEnded(socket, session.result(turn_id));
      return;
    }
  }
}
