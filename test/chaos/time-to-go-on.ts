import type { Event } from "../../src/protocol/events.ts";
import { AskedCalls, isSettling } from "./asked-calls.ts";

/** One process of the host. Times in ms since the epoch. */
export type Life = {
  /** Before it was started. */
  startedAt: number;
  /** When it took requests. */
  readyAt: number;
  /** When it was killed; null for the one that lives. */
  killedAt: number | null;
  /** When clients of the session came, in any order; those of other lives may be among them. */
  connectedAt: readonly number[];
};

export type GoingOn = {
  life: number;
  /** The first event that shows that the session goes on; null if the process did not get so far. */
  event: Event | null;
  /** From the moment at which the process took requests; 0 where it went on before. Null without an event. */
  afterReadyMs: number | null;
  /** The same from the first client of this life; null without one, and where the model's own time is in it. */
  afterClientMs: number | null;
  /** How much of each limit the process had, before it was killed or until now. */
  livedMs: number;
  livedWithClientMs: number | null;
};

/**
 * For each process that found a turn running or queued: when the session went on. A turn that ran says STATUS resumed,
 * one that was queued begins, and one that waited for somebody who has answered says whatever comes next, which is a call
 * of the model where no call of its own is left. While a turn waits nothing is to go on.
 */
export function timeToGoOn(log: readonly Event[], lives: readonly Life[], now = Date.now()): GoingOn[] {
  return lives.flatMap((life, index): GoingOn[] => {
    const at = (event: Event) => Date.parse(event.timestamp);
    const before = log.filter((event) => at(event) < life.startedAt);
    const open = openTurns(before);
    if (open.size === 0) return [];
    const end = life.killedAt ?? now;
    const paused = pausedTurn(before);
    if (paused?.isBlocked) return [];
    const goes = (next: Event) => goesOn(next) || (next.turn_id !== null && next.turn_id === paused?.turnId);
    const event =
      log.slice(before.length).find((next) => at(next) <= end && goes(next) && open.has(next.turn_id ?? "")) ?? null;
    const client = paused?.asksModel
      ? null
      : earliest(life.connectedAt.filter((time) => time >= life.startedAt && time <= end));
    const since = (from: number | null) => (event === null || from === null ? null : Math.max(0, at(event) - from));
    return [
      {
        life: index,
        event,
        afterReadyMs: since(life.readyAt),
        afterClientMs: since(client),
        livedMs: Math.max(0, end - life.readyAt),
        livedWithClientMs: client === null ? null : Math.max(0, end - client),
      },
    ];
  });
}

/** How long a session may take to go on, in ms after its host is ready, and after the first client has connected. */
export type GoingOnLimits = { alone: number; withClient: number };

/** The processes in which a session took longer to go on than it may, or did not at all though there was the time. */
export function checkGoingOn(
  log: readonly Event[],
  lives: readonly Life[],
  limits: GoingOnLimits,
  now = Date.now(),
): string[] {
  return timeToGoOn(log, lives, now).flatMap((going) => {
    const { life, event, afterReadyMs, afterClientMs, livedMs, livedWithClientMs } = going;
    const late = (took: number | null, lived: number | null, limit: number) => (took ?? lived ?? 0) > limit;
    const what = event === null ? "nothing" : `event ${event.seq}`;
    return [
      ...(late(afterReadyMs, livedMs, limits.alone)
        ? [`life ${life}: ${what} within ${afterReadyMs ?? livedMs} ms of the start, at most ${limits.alone}`]
        : []),
      ...(late(afterClientMs, livedWithClientMs, limits.withClient)
        ? [
            `life ${life}: ${what} within ${afterClientMs ?? livedWithClientMs} ms with a client, at most ${limits.withClient}`,
          ]
        : []),
    ];
  });
}

function openTurns(events: readonly Event[]): Set<string> {
  const open = new Set<string>();
  for (const { type, turn_id } of events) {
    if (turn_id === null) continue;
    if (type === "ITERATION_END") open.delete(turn_id);
    else open.add(turn_id);
  }
  return open;
}

/** The turn that was said to wait and has not gone on since, and whether it could; null where there is none. */
function pausedTurn(events: readonly Event[]): { turnId: string; isBlocked: boolean; asksModel: boolean } | null {
  const at = events.findLastIndex(({ type, data }) => type === "STATUS" && data.status === "waiting");
  const turnId = events[at]?.turn_id ?? null;
  if (turnId === null) return null;
  const calls = new AskedCalls(events.slice(0, at).filter(({ turn_id }) => turn_id === turnId));
  for (const event of events.slice(at + 1).filter(({ turn_id }) => turn_id === turnId)) {
    if (event.type === "ITERATION_END") return null;
    calls.take(event);
    if (!isSettling(event, calls)) return null;
  }
  return { turnId, isBlocked: calls.isBlocked, asksModel: calls.open.length === 0 };
}

/** That a message was queued or withdrawn shows nothing of the turns before it. */
function goesOn({ type, data }: Event): boolean {
  return type === "SESSION_INFO" || (type === "STATUS" && data.status === "resumed");
}

function earliest(times: readonly number[]): number | null {
  return times.length === 0 ? null : Math.min(...times);
}
