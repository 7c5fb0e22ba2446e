import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { checkAccepted } from "./check-accepted.ts";
import { checkAnswers } from "./check-answers.ts";
import { checkLog } from "./check-log.ts";
import { checkOutcome, GO_ON_LIMITS } from "./check-session.ts";
import { checkWorkspace } from "./check-workspace.ts";
import type { ChaosHost, Phase } from "./host.ts";
import type { PlayedMessage } from "./play-session.ts";
import { seeded } from "./random.ts";
import { type PlannedTurn, planTurn } from "./scenarios.ts";
import { checkGoingOn, type Life, timeToGoOn } from "./time-to-go-on.ts";
import type { Trail, TrailSession } from "./trail.ts";
import { planWaits, type Waits, waitingBody } from "./waits.ts";

/** What rounds with sessions that nobody attends to have shown. */
export type AloneFigures = { rounds: number; kills: number; sessions: number; phases: Phase[]; longestMs: number };

/** Longer than a session may take to go on, so that each has had the time. */
const QUIET_MS = GO_ON_LIMITS.alone + 1_000;
const SESSIONS_A_ROUND = 6;
const TURNS_A_SESSION = 3;
const END_MS = 120_000;
/** Starts without progress at which a step is given up. */
const KILLS_AT_MOST = 2;

const KINDS = ["text", "thinking", "tools", "large files", "waits"] as const;

type Alone = TrailSession & { messages: PlayedMessage[]; waits: Waits | null };

/**
 * Turns that nobody attends to: they are begun, the gateway is killed, once or twice, and after the start nobody asks
 * for anything for as long as they may take to go on. Then their logs have to show that they did.
 */
export async function playAlone(
  host: ChaosHost,
  trail: Trail,
  seed: number,
  goOn: (figures: AloneFigures) => boolean,
  figures: AloneFigures,
): Promise<string[]> {
  for (; goOn(figures); figures.rounds++) {
    const random = seeded(seed, "alone", figures.rounds);
    const lives: Life[] = [await startOf(host)];
    const sessions: Alone[] = [];
    // Of rounds in which everything held nothing is to be shown.
    trail.sessions = sessions;
    for (let i = 0; i < SESSIONS_A_ROUND; i++) {
      // Nobody answers them, so that their deadlines do.
      const waits = i % 2 === 0 ? planWaits(random, true) : null;
      const turns = Array.from({ length: TURNS_A_SESSION }, (_, turn) =>
        planTurn(random, random.pick(KINDS), `r${figures.rounds}s${i}t${turn}`, waits !== null),
      );
      sessions.push(await begin(host, turns, waits));
    }
    for (let kills = random.int(1, KILLS_AT_MOST); kills > 0; kills--) {
      await pause(random.int(100, 900));
      await killOf(trail, lives, figures);
      lives.push(await startOf(host));
    }
    await pause(QUIET_MS);
    const told: string[] = [];
    for (const session of sessions) told.push(...(await check(host, session, lives, figures)));
    // The next round begins with a process of its own.
    await host.kill();
    if (told.length > 0) return told;
    figures.sessions += sessions.length;
  }
  return [];
}

async function startOf(host: ChaosHost): Promise<Life> {
  const startedAt = Date.now();
  await host.start();
  return { startedAt, readyAt: Date.now(), killedAt: null, connectedAt: [] };
}

async function killOf(trail: Trail, lives: Life[], figures: AloneFigures): Promise<void> {
  const life = lives.at(-1);
  if (life !== undefined) life.killedAt = Date.now();
  figures.phases.push(...(await trail.kill()).map(({ phase }) => phase));
  figures.kills++;
}

async function begin(host: ChaosHost, turns: readonly PlannedTurn[], waits: Waits | null): Promise<Alone> {
  const body = { model: "demo", ...waitingBody(waits) };
  const { session_id: sessionId } = await host.createSession(body, randomUUID());
  const messages: PlayedMessage[] = [];
  for (const turn of turns) {
    const body = { user_input: turn.input };
    const sentAt = Date.now();
    const accepted = await host.submit(sessionId, body, randomUUID());
    const answer = { turn: accepted, at: Date.now() };
    messages.push({ body, sentAt, answer, turn, ends: new Set(["complete"]), disturbed: false });
  }
  return { sessionId, messages, waits, watchers: [], log: null };
}

async function check(
  host: ChaosHost,
  session: Alone,
  lives: readonly Life[],
  figures: AloneFigures,
): Promise<string[]> {
  const { sessionId, messages, waits } = session;
  const now = Date.now();
  const early = await host.log(sessionId);
  for (const { afterReadyMs } of timeToGoOn(early, lives, now)) {
    figures.longestMs = Math.max(figures.longestMs, afterReadyMs ?? 0);
  }
  const late = checkGoingOn(early, lives, GO_ON_LIMITS, now);
  const deadline = Date.now() + END_MS;
  while ((await host.describe(sessionId))?.status !== "idle" && Date.now() < deadline) await pause(100);
  const log = await host.log(sessionId);
  session.log = log;
  const files = await host.files(sessionId);
  return [
    ...late,
    ...checkLog(log),
    ...checkAnswers({ waits, given: [] }, log, lives, { goOn: GO_ON_LIMITS.withClient, deadline: GO_ON_LIMITS.alone }),
    ...checkAccepted(messages, log),
    ...checkWorkspace(log, files),
    ...messages.flatMap((message) => checkOutcome(message, log)),
  ].map((text) => `${sessionId}: ${text}`);
}
