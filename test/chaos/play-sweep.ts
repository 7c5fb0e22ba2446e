import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { SECOND_SWEEP_MS } from "../../src/session/next-wake.ts";
import type { GatewayHost } from "./gateway-host.ts";

/** A sweep is done in moments, once it is due. */
const SWEEP_MS = 5_000;

/**
 * After all else, on a host that was killed: what kills have left staged is made old, and the gateway is let run until
 * that, and what was deleted, has been swept. Returns what was not.
 *
 * @param kept the sessions that are there, and `removed` those that are not
 */
export async function playSweep(host: GatewayHost, kept: readonly string[], removed: readonly string[]) {
  const aged = host.store.ageStages(kept);
  await host.start();
  // The alarm that keeps a turn alive looks for what is due.
  const user_input = `Wait ${HEARTBEAT_MS / 1_000 + 10} seconds`;
  await Promise.all(aged.map((sessionId) => host.submit(sessionId, { user_input }, randomUUID())));
  await pause(Math.max(SECOND_SWEEP_MS, HEARTBEAT_MS + 10_000) + SWEEP_MS);
  await host.kill();
  return { swept: aged.length, violations: host.store.unswept(kept, removed) };
}
