import { toTimestamp } from "../protocol/events.ts";
import { workspaceDirOf } from "../protocol/paths.ts";
import type { Principal } from "../protocol/principal.ts";
import type { Session } from "./session.ts";
import { answer } from "./session-api.ts";
import type { Sockets } from "./sockets.ts";
import { parseStreamRequest } from "./stream-request.ts";

type FindSession = (asking: Principal) => Session;

/** Opens a socket on a session's log: the answer is the 101 with the client's end of it, or a problem. */
export async function acceptStream(request: Request, sockets: Sockets, find: FindSession): Promise<Response> {
  const opened = await answer(() => accept(request, sockets, find));
  if (opened.ok) return new Response(null, { status: 101, webSocket: opened.value });
  return Response.json(opened.problem, { status: opened.problem.status });
}

/** @throws GatewayError what the request is refused with */
function accept(request: Request, sockets: Sockets, find: FindSession): WebSocket {
  const { asking, after, types, reader, together } = parseStreamRequest(request);
  const { log, settings } = find(asking);
  if (after !== null) log.checkCursor(after);
  const data = {
    session_id: settings.session_id,
    workspace_dir: workspaceDirOf(settings.session_id),
    cursor: after ?? log.cursor(),
  };
  const connected = { type: "connected" as const, data, timestamp: toTimestamp(Date.now()) };
  const { 0: client, 1: server } = new WebSocketPair();
  sockets.accept(server, { principal: asking, types, reader, together, after }, reader ? null : connected);
  return client;
}
