import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Event } from "../../src/protocol/events.ts";
import { checkLog } from "./check-log.ts";
import { checkWatcher } from "./check-watcher.ts";
import { Violation } from "./gate.ts";
import type { GatewayHost } from "./gateway-host.ts";
import type { Watcher } from "./host.ts";
import type { Trail } from "./trail.ts";

/** A little more than the runtime keeps an object that nothing happens to. */
const IDLE_MS = 15_000;

/**
 * A session sleeps with its clients attached, idle or while its turn waits for somebody: its object is constructed anew
 * for the next turn, or for the answer, and no client had to connect again or missed anything. The host is running.
 * Returns what did not hold.
 */
export async function playHibernation(host: GatewayHost, trail: Trail, waits: boolean): Promise<string[]> {
  const body = { model: "demo", ...(waits ? { permissions: { write: "ask" as const } } : {}) };
  const { session_id: sessionId } = await host.createSession(body, randomUUID());
  const watchers = ["websocket", "sse"].map((how) => host.watch(sessionId, how));
  trail.add(sessionId, watchers);
  const constructed = () => host.printed.split(`constructed ${sessionId}`).length - 1;
  const begin = async (user_input: string, until: (event: Event) => boolean) => {
    const { turn_id } = await host.submit(sessionId, { user_input }, randomUUID());
    await Promise.all(watchers.map((watcher) => watcher.until((event) => event.turn_id === turn_id && until(event))));
    return turn_id;
  };
  const isEnd = ({ type }: Event) => type === "ITERATION_END";
  const asleep = waits
    ? await begin("Write 'x' to a.txt", ({ type, data }) => type === "STATUS" && data.status === "waiting")
    : await begin("Say 'before it sleeps'", isEnd);
  const before = constructed();
  const connections = watchers.map(({ connectedAt }) => connectedAt?.length);
  await pause(IDLE_MS);
  if (waits) await allow(host, sessionId, watchers, asleep);
  else await begin("Say 'after it woke'", isEnd);
  const told: string[] = [];
  if (constructed() !== before + 1) {
    told.push(`its object was constructed ${constructed() - before} times more after ${IDLE_MS} ms, expected 1`);
  }
  const log = await host.log(sessionId);
  for (const [i, watcher] of watchers.entries()) {
    if (watcher.connectedAt?.length !== connections[i]) told.push(`${watcher.how}: connected again`);
    await watcher.stop(log.at(-1)?.seq ?? 0);
    told.push(...checkWatcher(watcher, log));
  }
  return [...told, ...checkLog(log)].map((text) => `${sessionId}: ${text}`);
}

/** Answers what was asked before the session slept, and waits for the end. */
async function allow(host: GatewayHost, sessionId: string, watchers: readonly Watcher[], turnId: string) {
  const [watcher] = watchers;
  const asked = watcher?.seen.find(({ event }) => event.type === "AUTH_REQUIRED")?.event;
  if (asked?.type !== "AUTH_REQUIRED") throw new Violation(`${sessionId} was asked to write, and asks nobody`);
  await host.reply(sessionId, { input_id: asked.data.input_id, response: "allow" }, "rest");
  const isEnd = ({ type, turn_id }: Event) => type === "ITERATION_END" && turn_id === turnId;
  await Promise.all(watchers.map((one) => one.until(isEnd)));
}

/** Four minutes at most may pass until it is looked at. */
const LONG_TURN_MS = 200_000;

/** A turn of 200 s with nobody attached completes, all at once. The host is running. Returns what did not hold. */
export async function playLongTurn(host: GatewayHost, trail: Trail): Promise<string[]> {
  const { session_id: sessionId } = await host.createSession({ model: "demo" }, randomUUID());
  const user_input = [
    "Wait 50 seconds",
    "count to 500 at 100 ms",
    "write 'halfway' to a.txt",
    "wait 50 seconds",
    "think for 500 words at 100 ms",
    "append ', done' to a.txt",
  ].join(", then ");
  trail.add(sessionId);
  await host.submit(sessionId, { user_input }, randomUUID());
  await pause(LONG_TURN_MS + 15_000);
  const log = await host.log(sessionId);
  const end = log.at(-1);
  const told = checkLog(log);
  if (end?.type !== "ITERATION_END" || end.data.status !== "complete") told.push("did not complete");
  else if (end.data.duration_seconds * 1_000 < LONG_TURN_MS) told.push(`took ${end.data.duration_seconds} s`);
  const resumed = log.filter(({ type, data }) => type === "STATUS" && data.status === "resumed");
  if (resumed.length > 0) told.push(`was interrupted ${resumed.length} times`);
  const text = new TextDecoder().decode((await host.files(sessionId)).get("a.txt"));
  if (text !== "halfway, done") told.push(`a.txt holds ${JSON.stringify(text)}`);
  return told.map((one) => `${sessionId}: ${one}`);
}
