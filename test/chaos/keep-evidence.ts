import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SessionPlay } from "./play-session.ts";
import type { Part } from "./run.ts";

/** How long a host that may be broken is asked for a log that was not read yet. */
const LOG_MS = 5_000;

/** Writes down all that shows what went wrong: kills, and of each session the messages, the log and the frames. */
export async function keepEvidence(folder: string, seed: number, parts: readonly Part[]): Promise<void> {
  for (const { name, violations, played } of parts) {
    const place = join(folder, name.replaceAll(" ", "-"));
    mkdirSync(place, { recursive: true });
    const write = (file: string, value: unknown) =>
      writeFileSync(join(place, file), `${JSON.stringify(value, null, 1)}\n`);
    write("violations.json", { seed, violations });
    if (played === null) continue;
    const { killer, logs, plays, schedule } = played;
    write("schedule.json", schedule);
    write("kills.json", { kills: killer.kills, lives: killer.lives });
    for (const play of plays) {
      const { sessionId, state, watchers, options, messages } = play;
      if (sessionId === "") continue;
      const log = logs.get(sessionId) ?? (await readLog(play));
      write(`${sessionId}.json`, {
        number: options.number,
        scenario: options.scenario,
        state,
        messages: messages.map((message) => ({ ...message, ends: [...message.ends] })),
        log,
        watchers: watchers.map(({ how, reconnects, connectedAt, faults, seen }) => ({
          how,
          reconnects,
          connectedAt,
          faults,
          seen,
        })),
      });
    }
  }
}

/** The log of a session that was not checked; null if it cannot be had. */
async function readLog({ sessionId, state, options: { host } }: SessionPlay): Promise<unknown> {
  if (state === "removed") return null;
  const tooLate = new Promise<null>((resolve) => setTimeout(() => resolve(null), LOG_MS).unref());
  return await Promise.race([host.log(sessionId).catch(() => null), tooLate]);
}
