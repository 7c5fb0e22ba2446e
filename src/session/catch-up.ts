import { CATCH_UP_SOCKETS_MAX, CATCH_UP_WINDOW_BYTES } from "../protocol/limits.ts";

/** A client that acknowledges and then says nothing for so long is sent more all the same, up to its limit. */
const SILENT_MS = 5_000;
/** One that never acknowledged anything is sent its windows by the clock. */
const PACE_MS = 50;
/** A client that took nothing within this time is not waited for by others. */
const TURN_MS = 1_000;

/** A socket that is behind; times in ms since the epoch. */
export type Standing = {
  acknowledges: boolean;
  unacked: number;
  /** When its first window was sent; null: it waits for others. */
  beganAt: number | null;
  /** When it was last sent a window, or acknowledged something. */
  movedAt: number;
};

/** How many sockets that wait may begin now, so that many that come at once are not all in memory at once. */
export function roomToBegin(standings: readonly Standing[], now: number): number {
  const underWay = standings.filter(({ beganAt }) => beganAt !== null && now < beganAt + TURN_MS);
  return Math.max(0, CATCH_UP_SOCKETS_MAX - underWay.length);
}

/** When a socket that has begun is sent more, if it does not acknowledge anything until then. */
export function dueAt({ acknowledges, unacked, movedAt }: Standing): number {
  if (!acknowledges) return movedAt + PACE_MS;
  return unacked < CATCH_UP_WINDOW_BYTES ? 0 : movedAt + SILENT_MS;
}

/** How many bytes a socket that is due is sent at least, where there are as many. */
export function windowOf({ acknowledges, unacked }: Standing): number {
  const room = CATCH_UP_WINDOW_BYTES - unacked;
  return acknowledges && room > 0 ? room : CATCH_UP_WINDOW_BYTES;
}

/** When to look again; null when nobody is behind. */
export function nextLook(standings: readonly Standing[], now: number): number | null {
  const times = standings.map((standing) => (standing.beganAt === null ? nextTurn(standings, now) : dueAt(standing)));
  return times.length === 0 ? null : Math.min(...times);
}

function nextTurn(standings: readonly Standing[], now: number): number {
  if (roomToBegin(standings, now) > 0) return now;
  const began = standings.flatMap(({ beganAt }) => (beganAt !== null && now < beganAt + TURN_MS ? [beganAt] : []));
  return Math.min(...began) + TURN_MS;
}
