import { type EventType, event } from "../protocol/events.ts";
import type { Principal } from "../protocol/principal.ts";
import type { Turn } from "../protocol/rest.ts";
import { type LogFrame, openLog } from "./log-reader.ts";
import { unwrap } from "./problem-response.ts";
import { openStream, sessionOf } from "./session-stub.ts";

export type Follow = { asking: Principal; session_id: string; after: string; types: EventType[] | null };

/** Follows a session's log from a cursor. @throws GatewayError what the session's object answers */
export function followSession(env: Cloudflare.Env, follow: Follow, signal: AbortSignal) {
  const { asking, session_id, types } = follow;
  const open = async (after: string) =>
    (await openStream(env, asking, session_id, { after, types, reader: true })).webSocket;
  return openLog(open, { after: follow.after, signal });
}

/** The frames of one turn out of those of its session, up to its end. */
export async function* turnFrames(
  log: AsyncGenerator<LogFrame[], void>,
  turnId: string,
): AsyncGenerator<LogFrame[], void> {
  for await (const came of log) {
    const frames = came.filter(({ turn_id }) => turn_id === turnId);
    if (frames.length > 0) yield frames;
    // A turn has nothing behind its end.
    if (frames.some(({ type }) => type === "ITERATION_END")) return;
  }
}

/**
 * Waits until a turn that was accepted at `follow.after` has ended or waits for somebody, the time is up, or the session
 * is gone. Returns the turn as it is then.
 *
 * @throws GatewayError what the session's object answers
 */
export async function waitForTurn(
  env: Cloudflare.Env,
  follow: Omit<Follow, "types">,
  turnId: string,
  ms: number,
): Promise<Turn> {
  const { asking, session_id } = follow;
  const look = async () => unwrap(await sessionOf(env, session_id).turn(asking, turnId));
  const reading = new AbortController();
  const timer = setTimeout(() => reading.abort(), ms);
  try {
    const log = await followSession(env, { ...follow, types: ["ITERATION_END", "STATUS"] }, reading.signal);
    for await (const frames of turnFrames(log, turnId)) {
      if (!frames.some(saysWaiting)) continue;
      // The log tells of past waits too, and this one may be over by now.
      const turn = await look();
      if (turn.status === "waiting") return turn;
    }
  } finally {
    clearTimeout(timer);
    reading.abort();
  }
  return look();
}

function saysWaiting({ json }: LogFrame): boolean {
  const { type, data } = event.parse(JSON.parse(json));
  return type === "STATUS" && data.status === "waiting";
}
