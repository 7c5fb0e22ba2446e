import { HEARTBEAT_MS } from "../protocol/limits.ts";

/** A deleted session is swept once more after this time: an upload may still have been on its way. */
export const SECOND_SWEEP_MS = 60_000;

/** All that a session may have to be woken for. Times are ms since the epoch. */
export type DueTimes = {
  running: boolean;
  indexRetryAt: number | null;
  stageSweepAt: number | null;
  /** When the time of someone who is asked is up. */
  inputDeadline: number | null;
  /** When its place among its user's turns is to be given back once more. */
  leaseRetryAt: number | null;
  /** When the token ends by which a socket is open. */
  socketExpiry: number | null;
};

/** When the session's one alarm is due next; null when nothing is. */
export function nextWake(due: DueTimes, now: number): number | null {
  const heartbeat = due.running ? now + HEARTBEAT_MS : null;
  const { indexRetryAt, stageSweepAt, inputDeadline, leaseRetryAt, socketExpiry } = due;
  const all = [heartbeat, indexRetryAt, stageSweepAt, inputDeadline, leaseRetryAt, socketExpiry];
  const times = all.filter((time) => time !== null);
  return times.length === 0 ? null : Math.min(...times);
}
