import type { Event } from "../../src/protocol/events.ts";
import type { ChaosHost, Remains, Watcher } from "./host.ts";

/** A session, and what there is of it to be looked at; the log is null until it was read. */
export type TrailSession = { sessionId: string; watchers: readonly Watcher[]; log: Event[] | null };

/**
 * What a part of a run that is no schedule leaves behind for whoever looks at why it failed. It grows as the part goes
 * on, so that it is there where that breaks off.
 */
export class Trail {
  readonly host: ChaosHost;
  sessions: TrailSession[] = [];
  /** When each kill was sent and when all had ended, in ms since the epoch, and what it left. */
  readonly kills: { at: number; endedAt: number; found: (Remains & { sessionId: string })[] }[] = [];

  constructor(host: ChaosHost) {
    this.host = host;
  }

  add(sessionId: string, watchers: readonly Watcher[] = []): TrailSession {
    const session = { sessionId, watchers, log: null };
    this.sessions.push(session);
    return session;
  }

  /** Kills the host. Returns what that left of each session. */
  async kill(): Promise<(Remains & { sessionId: string })[]> {
    const at = Date.now();
    await this.host.kill();
    const endedAt = Date.now();
    const found = this.sessions.map(({ sessionId }) => ({ sessionId, ...this.host.remains(sessionId) }));
    this.kills.push({ at, endedAt, found });
    return found;
  }
}
