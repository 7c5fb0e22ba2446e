import type { EventType } from "../protocol/events.ts";
import type { Principal } from "../protocol/principal.ts";
import { type LogFrame, openLog } from "./log-reader.ts";
import { openStream } from "./session-stub.ts";

export type Follow = { asking: Principal; session_id: string; after: string; types: EventType[] | null };

/** Follows a session's log from a cursor. @throws GatewayError what the session's object answers */
export function followSession(env: Cloudflare.Env, follow: Follow, signal: AbortSignal) {
  const { asking, session_id, types } = follow;
  const open = async (after: string) =>
    (await openStream(env, asking, session_id, { after, types, reader: true })).webSocket;
  return openLog(open, { after: follow.after, signal });
}

/** The frames of one turn, up to its end. */
export async function* turnFrames(
  frames: AsyncGenerator<LogFrame, void>,
  turnId: string,
): AsyncGenerator<LogFrame, void> {
  for await (const frame of frames) {
    if (frame.turn_id !== turnId) continue;
    yield frame;
    if (frame.type === "ITERATION_END") return;
  }
}

/** Waits until a turn that was accepted at `follow.after` has ended, the time is up, or the session is gone. */
export async function waitForTurn(
  env: Cloudflare.Env,
  follow: Omit<Follow, "types">,
  turnId: string,
  ms: number,
): Promise<void> {
  const reading = new AbortController();
  const timer = setTimeout(() => reading.abort(), ms);
  try {
    const frames = await followSession(env, { ...follow, types: ["ITERATION_END"] }, reading.signal);
    for await (const _ of turnFrames(frames, turnId));
  } finally {
    clearTimeout(timer);
  }
}
