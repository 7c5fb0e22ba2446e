import { randomUUID } from "node:crypto";
import { checkLog } from "./check-log.ts";
import { checkWatcher } from "./check-watcher.ts";
import type { ChaosHost, Watcher } from "./host.ts";
import type { Trail } from "./trail.ts";

/** Starts at which an open call, or a turn without one, is given up. */
const KILLS = 3;

type Victim = { sessionId: string; turnId: string; watcher: Watcher; begun: "TOOL_CALL" | "TEXT" | "STATUS" };

/**
 * The one scenario that kills a step more often than twice: the third start gives up the calls that are open, and a
 * turn without one fails. One that waits for an answer outlasts them all. Returns what did not hold.
 */
export async function playLimit(host: ChaosHost, trail: Trail): Promise<string[]> {
  await host.start();
  const waiting = await begin(trail, "Wait 50 seconds, then say 'went on'", "TOOL_CALL");
  const speaking = await begin(trail, "Count to 9000 at 10 ms", "TEXT");
  const asking = await begin(trail, "Ask 'Go on?', then write 'answered' to a.txt", "STATUS");
  await asking.watcher.until(({ type, data }) => type === "STATUS" && data.status === "waiting");
  const told: string[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    for (const { watcher, begun } of [waiting, speaking]) {
      const since = watcher.seen.length;
      // After a start, the step has begun once more when the log says so.
      if (kill === 1) await watcher.until(({ type }) => type === begun);
      else await nextResumed(watcher, kill - 1);
      if (begun === "TEXT" && watcher.seen.length === since) await watcher.until(({ type }) => type === begun);
    }
    for (const { sessionId, starts, phase } of await trail.kill()) {
      if (sessionId === asking.sessionId) {
        if (starts !== 0 || phase !== "waiting")
          told.push(`${sessionId}: kill ${kill} found ${starts} starts counted of a turn that waits, in ${phase}`);
      } else if (starts !== kill - 1)
        told.push(`${sessionId}: kill ${kill} found ${starts} starts counted, in phase ${phase}`);
    }
    await host.start();
  }
  const pending = (await host.describe(asking.sessionId))?.pending_inputs ?? [];
  for (const one of pending) {
    if ("input_id" in one)
      await host.reply(asking.sessionId, { input_id: one.input_id, response: "yes" }, host.replyWays[0]);
  }
  for (const { watcher, turnId } of [waiting, speaking, asking]) {
    await watcher.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnId);
  }
  return [
    ...told,
    ...(await faultsOf(host, waiting, ["TOOL_RESULT error", "ITERATION_END complete"])),
    ...(await faultsOf(host, asking, ["TOOL_RESULT success", "TOOL_RESULT success", "ITERATION_END complete"])),
    ...(await resumedIn(host, asking)),
    ...(await faultsOf(host, speaking, ["ERROR interrupted", "ITERATION_END failed"])),
  ];
}

async function begin(trail: Trail, user_input: string, begun: Victim["begun"]): Promise<Victim> {
  const { host } = trail;
  const { session_id: sessionId } = await host.createSession({ model: "demo" }, randomUUID());
  const watcher = host.watch(sessionId, host.ways[0] ?? "");
  trail.add(sessionId, [watcher]);
  const { turn_id: turnId } = await host.submit(sessionId, { user_input }, randomUUID());
  return { sessionId, turnId, watcher, begun };
}

async function nextResumed(watcher: Watcher, count: number): Promise<void> {
  let resumed = 0;
  await watcher.until((event) => {
    if (event.type === "STATUS" && event.data.status === "resumed") resumed++;
    return resumed === count;
  });
}

/** A start that finds a turn waiting changes nothing. */
async function resumedIn(host: ChaosHost, { sessionId }: Victim): Promise<string[]> {
  const log = await host.log(sessionId);
  const resumed = log.filter(({ type, data }) => type === "STATUS" && data.status === "resumed");
  return resumed.map(({ seq }) => `${sessionId}: event ${seq} says that a turn which waited was resumed`);
}

async function faultsOf(host: ChaosHost, { sessionId, watcher }: Victim, expected: string[]): Promise<string[]> {
  const log = await host.log(sessionId);
  await watcher.stop(log.at(-1)?.seq ?? 0);
  const found = log.flatMap((event) => {
    if (event.type === "TOOL_RESULT") return [`TOOL_RESULT ${event.data.is_error ? "error" : "success"}`];
    if (event.type === "ERROR") return [`ERROR ${event.data.code}`];
    return event.type === "ITERATION_END" ? [`ITERATION_END ${event.data.status}`] : [];
  });
  const same = expected.join(", ") === found.join(", ");
  return [
    ...(same ? [] : [`${sessionId}: expected ${expected.join(", ")}; found ${found.join(", ")}`]),
    ...checkLog(log).map((text) => `${sessionId}: ${text}`),
    ...checkWatcher(watcher, log).map((text) => `${sessionId}: ${text}`),
  ];
}
