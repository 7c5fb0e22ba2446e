import { GatewayError } from "../protocol/errors.ts";
import { QUEUE_MAX_TURNS, STEERS_MAX } from "../protocol/limits.ts";
import type { OnBusy } from "../protocol/rest.ts";

/** What becomes of a message: its turn starts now, waits after all others or before them, or it joins the running one. */
export type Place = "now" | "last" | "first" | "joins";

/** What a message finds. `steers` are the messages that wait to join the running turn. */
export type Found = { running: "no" | "yes" | "being cancelled"; queued: number; steers: number };

/** @throws GatewayError `session_busy`, `queue_full` */
export function placeMessage(mode: OnBusy, { running, queued, steers }: Found): Place {
  if (running === "no" && queued === 0) return "now";
  if (mode === "reject") throw new GatewayError("session_busy", "A turn is running.");
  if (queued + steers >= QUEUE_MAX_TURNS) {
    throw new GatewayError("queue_full", `At most ${QUEUE_MAX_TURNS} turns can wait.`);
  }
  if (mode === "interrupt") return "first";
  if (mode !== "steer" || running !== "yes") return "last";
  if (steers >= STEERS_MAX) {
    throw new GatewayError("queue_full", `At most ${STEERS_MAX} messages can wait to join a turn.`);
  }
  return "joins";
}
