import type { Event } from "../../src/protocol/events.ts";
import type { Sent } from "./check-accepted.ts";

/**
 * Turns that had to end as cancelled and did not: those of which an answer said so, and whatever ran when a message was
 * accepted that interrupts it. The whole log.
 *
 * @param answered the turns that the answer to a cancel named, or that were taken out while they waited
 */
export function checkCancelled(answered: Iterable<string>, sent: readonly Sent[], log: readonly Event[]): string[] {
  const ends = new Map(
    log.flatMap(({ type, turn_id, data }) => (type === "ITERATION_END" ? [[turn_id, data.status] as const] : [])),
  );
  const faults = (turnId: string, why: string) => {
    const status = ends.get(turnId);
    return status === "cancelled" ? [] : [`${turnId}: ${why}, and ${status ?? "does not end"}`];
  };
  return [
    ...[...answered].flatMap((turnId) => faults(turnId, "was cancelled, as an answer said")),
    ...interruptedIn(sent, log).flatMap(({ turnId, by }) => faults(turnId, `was interrupted by ${by}`)),
  ];
}

/** The turns that ran when messages took the first place in the queue to interrupt them. */
function interruptedIn(sent: readonly Sent[], log: readonly Event[]): { turnId: string; by: string }[] {
  const interrupting = new Set(
    sent.flatMap(({ body, answer }) =>
      body.on_busy === "interrupt" && answer?.turn.status === "queued" ? [answer.turn.turn_id] : [],
    ),
  );
  const interrupted: { turnId: string; by: string }[] = [];
  let running: string | null = null;
  for (const { type, turn_id, data } of log) {
    if (type === "SESSION_INFO") running = turn_id;
    else if (type === "ITERATION_END" && turn_id === running) running = null;
    else if (type === "STATUS" && data.status === "queued" && running !== null && interrupting.has(data.turn_id))
      interrupted.push({ turnId: running, by: data.turn_id });
  }
  return interrupted;
}
