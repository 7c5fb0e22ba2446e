import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChaosHost, Watcher } from "./host.ts";
import type { Part } from "./run.ts";

/** How long a host that may be broken is asked for a log that was not read yet. */
const LOG_MS = 5_000;

/** Writes down all that shows what went wrong: kills, and of each session what was sent, the log and the frames. */
export async function keepEvidence(folder: string, seed: number, parts: readonly Part[]): Promise<void> {
  await Promise.all(parts.map((part) => keepPart(join(folder, part.name.replaceAll(" ", "-")), seed, part)));
}

async function keepPart(place: string, seed: number, { violations, played, trail }: Part): Promise<void> {
  mkdirSync(place, { recursive: true });
  const write = (file: string, value: unknown) =>
    writeFileSync(join(place, file), `${JSON.stringify(value, null, 1)}\n`);
  write("violations.json", { seed, violations });
  if (trail !== null) {
    const { host, kills, sessions } = trail;
    write("kills.json", { kills });
    for (const { sessionId, log, watchers } of sessions) {
      write(`${sessionId}.json`, {
        log: log ?? (await readLog(host, sessionId)),
        watchers: watchers.map(shownOf),
      });
    }
  }
  if (played === null) return;
  const { host, killer, logs, plays, schedule } = played;
  write("schedule.json", schedule);
  write("kills.json", { kills: killer.kills, lives: killer.lives });
  for (const { sessionId, state, watchers, options, messages, given, toldCancelled } of plays) {
    if (sessionId === "") continue;
    const log = logs.get(sessionId) ?? (state === "removed" ? null : await readLog(host, sessionId));
    write(`${sessionId}.json`, {
      number: options.number,
      scenario: options.scenario,
      state,
      messages: messages.map((message) => ({ ...message, ends: [...message.ends] })),
      waits: options.waits,
      given,
      told_cancelled: [...toldCancelled],
      log,
      watchers: watchers.map(shownOf),
    });
  }
}

function shownOf({ how, comesAndGoes, reconnects, connectedAt, faults, seen }: Watcher) {
  return { how, comesAndGoes, reconnects, connectedAt, faults, seen };
}

/** The log of a session that was not checked; null if it cannot be had. */
async function readLog(host: ChaosHost, sessionId: string): Promise<unknown> {
  const tooLate = new Promise<null>((resolve) => setTimeout(() => resolve(null), LOG_MS).unref());
  return await Promise.race([host.log(sessionId).catch(() => null), tooLate]);
}
