import { toTimestamp } from "../protocol/events.ts";
import { workspaceDirOf } from "../protocol/paths.ts";
import type { Principal } from "../protocol/principal.ts";
import type { Session } from "./session.ts";
import type { Sockets } from "./sockets.ts";
import { parseStreamRequest } from "./stream-request.ts";

/**
 * Opens a socket on a session's log, and gives the end of it that the client is to have.
 *
 * @throws GatewayError what the request is refused with
 */
export function acceptStream(request: Request, sockets: Sockets, find: (asking: Principal) => Session): WebSocket {
  const { asking, after, types, reader } = parseStreamRequest(request);
  const { log, settings } = find(asking);
  if (after !== null) log.checkCursor(after);
  const data = {
    session_id: settings.session_id,
    workspace_dir: workspaceDirOf(settings.session_id),
    cursor: after ?? log.cursor(),
  };
  const connected = { type: "connected" as const, data, timestamp: toTimestamp(Date.now()) };
  const { 0: client, 1: server } = new WebSocketPair();
  sockets.accept(server, { principal: asking, types, reader, after }, reader ? null : connected);
  return client;
}
