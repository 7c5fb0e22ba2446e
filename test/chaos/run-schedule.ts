import { setTimeout as pause } from "node:timers/promises";
import type { Event } from "../../src/protocol/events.ts";
import { checkKept, checkRemoved } from "./check-session.ts";
import { Gate, Violation, violationsIn } from "./gate.ts";
import type { ChaosHost } from "./host.ts";
import { Killer } from "./killer.ts";
import { SessionPlay } from "./play-session.ts";
import { type Random, seeded } from "./random.ts";
import type { Scenario } from "./scenarios.ts";
import { waitsOf } from "./waits.ts";

export type Schedule = {
  /** Names it in the report. */
  name: string;
  seed: number;
  /** At least so many sessions, and so many kills. */
  sessions: number;
  kills: number;
  /** Sessions that are played at the same time. */
  atOnce: number;
  /** In turns. */
  scenarios: readonly [Scenario, ...Scenario[]];
  model: string;
};

/** What a schedule has done, whether or not it came to its end. */
export type Played = {
  schedule: Schedule;
  host: ChaosHost;
  plays: SessionPlay[];
  killer: Killer;
  /** The logs of those sessions that were checked. */
  logs: Map<string, Event[]>;
  startedAt: number;
  endedAt: number;
  /** What did not hold; empty as long as everything does. */
  violations: string[];
};

/** A long run says how far it is. */
const SIGN_OF_LIFE_KILLS = 25;

/** Plays sessions on a host that is killed again and again, and checks each. Ends at the first violation. */
export async function runSchedule(
  host: ChaosHost,
  schedule: Schedule,
  onStart: (played: Played) => void = () => {},
): Promise<Played> {
  const gate = new Gate();
  const plays: SessionPlay[] = [];
  const killer = new Killer(host, gate, seeded(schedule.seed, "kills", schedule.name), () => plays);
  const played: Played = {
    schedule,
    host,
    plays,
    killer,
    logs: new Map(),
    startedAt: Date.now(),
    endedAt: 0,
    violations: [],
  };
  onStart(played);
  try {
    await killer.start();
    const lanes = Array.from({ length: schedule.atOnce }, () => playLane(played, gate));
    const all = Promise.all(lanes);
    all.catch((thrown) => gate.fail(thrown));
    while (killer.kills.length < schedule.kills) {
      await killer.killOnce();
      const done = killer.kills.length;
      if (done % SIGN_OF_LIFE_KILLS === 0) {
        console.error(`${host.name}, ${schedule.name}: ${done} of ${schedule.kills} kills, ${plays.length} sessions`);
      }
    }
    await all;
    await checkLeftBehind(played, gate);
  } catch (thrown) {
    gate.fail(thrown);
    played.violations.push(...violationsIn(thrown));
  } finally {
    played.endedAt = Date.now();
  }
  return played;
}

/** Each step sends the whole transcript to the model, so that long sessions are slow ones. */
const MAX_ACTS: Record<Scenario, number> = {
  text: 8,
  thinking: 8,
  tools: 24,
  "large files": 4,
  waits: 8,
  queue: 6,
  cancel: 8,
  delete: 1,
  interrupt: 6,
  steer: 6,
};

/** Plays one session after the other, as long as there is any to play or a kill to come. */
async function playLane(played: Played, gate: Gate): Promise<void> {
  const { schedule, plays, killer, host } = played;
  const isOver = () => plays.length >= schedule.sessions && killer.kills.length >= schedule.kills;
  while (!isOver()) {
    const number = plays.length;
    const random = seeded(schedule.seed, schedule.name, number);
    const play = new SessionPlay({
      host,
      gate,
      seed: schedule.seed,
      number,
      scenario: schedule.scenarios[number % schedule.scenarios.length] ?? schedule.scenarios[0],
      model: schedule.model,
      waits: waitsOf(seeded(schedule.seed, schedule.name, number, "waits"), number, schedule.scenarios.length),
      watchers: watchersOf(random, host.ways),
      // The kills are shared out among the sessions.
      goOn: ({ hits, acts, options: { scenario } }) =>
        hits * schedule.sessions < schedule.kills * schedule.atOnce && acts < MAX_ACTS[scenario] && !isOver(),
      onRequest: (request) => killer.requested(request),
    });
    plays.push(play);
    await play.play();
    await checkPlay(played, play, gate);
  }
}

/** One to three, of any kind. */
function watchersOf(random: Random, ways: readonly string[]): string[] {
  const [first, ...others] = ways;
  if (first === undefined) throw new Error("a host shows nothing");
  return Array.from({ length: random.int(1, 3) }, () => random.pick([first, ...others]));
}

async function checkPlay(played: Played, play: SessionPlay, gate: Gate): Promise<void> {
  const { host, killer, logs } = played;
  const { sessionId, watchers } = play;
  let violations: string[];
  if (play.state === "removed") {
    if ((await gate.request(() => host.describe(sessionId))) !== null) {
      throw new Violation(`${sessionId} was removed and is there`);
    }
    await Promise.all(watchers.map((watcher) => watcher.stop(0)));
    violations = checkRemoved(play);
  } else {
    // Other sessions go on being killed, so that the answers may come in pieces.
    const log = await gate.request(() => host.log(sessionId));
    const files = await gate.request(() => host.files(sessionId));
    logs.set(sessionId, log);
    await Promise.race([Promise.all(watchers.map((watcher) => watcher.stop(log.at(-1)?.seq ?? 0))), gate.failed]);
    violations = checkKept(play, { log, files }, killer.lives);
  }
  if (violations.length > 0) throw new Violation(violations.map((text) => `${sessionId}: ${text}`).join("\n"));
}

/** What is stored that should not be, once all is done. */
async function checkLeftBehind({ host, plays }: Played, gate: Gate): Promise<void> {
  const idsOf = (state: SessionPlay["state"]) =>
    plays.filter((play) => play.state === state).map(({ sessionId }) => sessionId);
  // What a deletion could not finish is finished by its alarm.
  await Promise.race([pause(0), gate.failed]);
  await host.kill();
  const left = host.leftBehind(idsOf("kept"), idsOf("removed"));
  if (left.length > 0) throw new Violation(left.join("\n"));
}
