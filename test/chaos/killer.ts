import { setTimeout as pause } from "node:timers/promises";
import type { Event } from "../../src/protocol/events.ts";
import { coverageOf, type Found, type Need } from "./coverage.ts";
import { type Gate, Violation } from "./gate.ts";
import type { ChaosHost } from "./host.ts";
import type { Request, SessionPlay } from "./play-session.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenarios.ts";
import type { Life } from "./time-to-go-on.ts";

/** What a kill was aimed at: any moment, the moment after an event was seen, or after a request was sent. */
export type Aim =
  | { at: "any moment"; afterMs: number }
  | { at: "event"; type: "TOOL_RESULT" | "TEXT" | "THINKING" | "AUTH_REQUIRED" | "ITERATION_END"; afterMs: number }
  /** A call of a tool, by its name. */
  | { at: "call"; tool: string; scenario: Scenario | null; afterMs: number }
  | { at: "request"; request: Request; afterMs: number };

/** One kill, and what it found. */
export type Kill = {
  number: number;
  aim: Aim;
  /** Whether what it was aimed at came. */
  hit: boolean;
  /** When it was sent and when all had ended, in ms since the epoch. */
  at: number;
  endedAt: number;
  found: Found[];
};

/** Not much happens in a life that is longer. */
const AIM_TIMEOUT_MS = 1_500;
/** Between two looks at what the watchers have seen. */
const LOOK_MS = 2;
const NO_PROGRESS_MS = 60_000;
/** A host stays down for so long at most, so that a deadline passes. */
const LET_PASS_MS = 2_500;
/** Of the kills that much is aimed at what few of them fell into. */
const GUIDED_SHARE = 0.5;

/** What sessions send beside their messages. */
const REQUESTS_OF: Partial<Record<Scenario, Request[]>> = {
  queue: ["submit", "withdraw"],
  cancel: ["cancel", "cancel", "cancel"],
  delete: ["delete", "delete", "delete", "delete", "delete"],
  interrupt: ["submit"],
  steer: ["submit"],
};

/** Kills a host at chosen moments and starts it again, as often as it is to. */
export class Killer {
  readonly kills: Kill[] = [];
  readonly lives: Life[] = [];
  readonly #host: ChaosHost;
  readonly #gate: Gate;
  readonly #random: Random;
  readonly #plays: () => readonly SessionPlay[];
  #onRequest: ((request: Request) => void) | null = null;
  #startedAt = 0;

  constructor(host: ChaosHost, gate: Gate, random: Random, plays: () => readonly SessionPlay[]) {
    this.#host = host;
    this.#gate = gate;
    this.#random = random;
    this.#plays = plays;
  }

  /** To be called as a request goes out. */
  requested(request: Request): void {
    this.#onRequest?.(request);
  }

  async start(): Promise<void> {
    // In-process, whoever takes a session over from a process that died goes on before the next one is started.
    const earlier = this.#host.name === "in-process" ? this.kills.at(-1)?.at : undefined;
    this.#startedAt = Date.now();
    const startedAt = earlier ?? this.#startedAt;
    await this.#host.start();
    this.lives.push({ startedAt, readyAt: Date.now(), killedAt: null, connectedAt: [] });
    this.#gate.open();
  }

  /** Waits for the right moment, kills, looks at what is left, and starts again. */
  async killOnce(): Promise<void> {
    await this.#untilAllowed();
    const aim = this.#takeAim();
    const hit = await this.#await(aim);
    const at = Date.now();
    const alone = new Set(
      this.#plays().filter(({ watchers }) => !watchers.some(({ isConnected }) => isConnected ?? true)),
    );
    this.#gate.close();
    await this.#host.kill();
    const endedAt = Date.now();
    const life = this.lives.at(-1);
    if (life !== undefined) life.killedAt = at;
    const found: Found[] = [];
    for (const play of this.#plays()) {
      if (play.state !== "live" || play.sessionId === "") continue;
      const remains = this.#host.remains(play.sessionId);
      play.wasKilled(remains, endedAt);
      const { phase, starts, queued, asked } = remains;
      found.push({
        sessionId: play.sessionId,
        phase,
        starts,
        queued,
        dueAt: phase === "waiting" ? earliest(asked.map(({ until }) => until)) : null,
        expired: false,
        request: play.request,
        attended: !alone.has(play),
      });
    }
    this.kills.push({ number: this.kills.length + 1, aim, hit, at, endedAt, found });
    const tooOften = found.find(({ starts }) => starts > 1);
    if (tooOften !== undefined) throw new Violation(`a step of ${tooOften.sessionId} was killed three times`);
    await this.#letPass(found);
    await this.start();
    for (const one of found) one.expired = one.dueAt !== null && one.dueAt > endedAt && one.dueAt < this.#startedAt;
  }

  /** Deadlines are to pass while nothing is there that could keep them. */
  async #letPass(found: readonly Found[]): Promise<void> {
    const due = earliest(found.flatMap(({ dueAt }) => dueAt ?? []));
    const ms = due === null ? 0 : due - Date.now();
    if (ms > 0 && ms < LET_PASS_MS && this.#random.chance(0.5)) await pause(ms + 20);
  }

  /** No step is killed more than twice. */
  async #untilAllowed(): Promise<void> {
    const deadline = Date.now() + NO_PROGRESS_MS;
    for (;;) {
      const waiting = this.#plays().filter(({ needsProgress }) => needsProgress);
      if (waiting.length === 0) return;
      if (Date.now() > deadline) {
        throw new Violation(`${waiting.map(({ sessionId }) => sessionId).join(", ")} did not get further`);
      }
      await Promise.race([pause(5), this.#gate.failed]);
    }
  }

  /** How often kills fell into what they have to fall into. */
  get coverage(): Map<Need, number> {
    return coverageOf(
      this.#host.name,
      this.kills.flatMap(({ found }) => found),
    );
  }

  #takeAim(): Aim {
    const random = this.#random;
    const rare = this.#aimAtRarest();
    if (random.chance(GUIDED_SHARE) && rare !== null) return rare;
    const kind = random.int(0, 9);
    const afterMs = random.int(0, 30);
    const request = this.#likelyRequest();
    if (kind === 0 && this.#live().some(({ waits }) => waits !== null)) {
      const type = "AUTH_REQUIRED";
      return random.chance(0.5)
        ? { at: "event", type, afterMs: afterMs * 5 }
        : { at: "request", request: "answer", afterMs };
    }
    if (kind < 3 && request !== null) return { at: "request", request, afterMs: Math.floor(afterMs / 3) };
    // Only with much to upload is there the time to be killed between the upload and its commit.
    const uploads = this.#live().some(({ options: { scenario } }) => scenario === "large files");
    if (kind < 6 && uploads) return { at: "call", tool: "write", scenario: "large files", afterMs };
    if (kind < 6)
      return { at: "call", tool: random.pick(["write", "edit", "wait"]), scenario: null, afterMs: afterMs / 3 };
    if (kind === 6) return { at: "event", type: random.pick(["TEXT", "TOOL_RESULT", "ITERATION_END"]), afterMs };
    if (kind === 7) return { at: "event", type: "THINKING", afterMs: afterMs * 5 };
    return { at: "any moment", afterMs: random.int(0, 900) };
  }

  /** At what kills fell into least, of what can be had now. */
  #aimAtRarest(): Aim | null {
    const random = this.#random;
    const played = new Set(this.#live().map(({ options: { scenario } }) => scenario));
    const aims: Partial<Record<Need, Aim>> = {
      text: { at: "event", type: "TEXT", afterMs: random.int(0, 30) },
      thinking: { at: "event", type: "THINKING", afterMs: random.int(0, 60) },
    };
    if (this.#live().some(({ waits }) => waits !== null)) {
      aims["a waiting turn"] = { at: "event", type: "AUTH_REQUIRED", afterMs: random.int(0, 200) };
      aims["an answer"] = { at: "request", request: "answer", afterMs: random.int(0, 10) };
    }
    if (this.#live().some(({ waits }) => waits !== null && waits.timeoutSeconds !== null)) {
      aims["a deadline while it was down"] = { at: "event", type: "AUTH_REQUIRED", afterMs: random.int(300, 900) };
    }
    if (played.has("waits")) {
      aims["call started"] = { at: "call", tool: "wait", scenario: "waits", afterMs: random.int(0, 60) };
    }
    const write: Aim = { at: "call", tool: "write", scenario: "large files", afterMs: random.int(0, 40) };
    if (played.has("large files")) Object.assign(aims, { "call uploaded": write, "call applying": write });
    if (played.has("cancel")) aims["a cancel"] = { at: "request", request: "cancel", afterMs: random.int(0, 10) };
    if (played.has("delete")) aims["a delete"] = { at: "request", request: "delete", afterMs: random.int(0, 15) };
    const [rarest] = [...this.coverage]
      .sort(([, a], [, b]) => a - b)
      .flatMap(([need]) => (aims[need] === undefined ? [] : [aims[need]]));
    return rarest ?? null;
  }

  /** One that a session is about to send which is played now. */
  #likelyRequest(): Request | null {
    const likely = this.#live().flatMap(({ options: { scenario } }) => REQUESTS_OF[scenario] ?? []);
    const [first, ...others] = likely;
    return first === undefined ? null : this.#random.pick([first, ...others]);
  }

  /** Returns whether that moment came. */
  async #await(aim: Aim): Promise<boolean> {
    if (aim.at === "any moment") {
      await Promise.race([pause(aim.afterMs), this.#gate.failed]);
      return true;
    }
    const hit = await Promise.race([this.#nextOf(aim), this.#gate.failed]);
    // Some are to find the work not even begun.
    if (aim.afterMs >= 1) await pause(aim.afterMs);
    return hit;
  }

  #nextOf(aim: Exclude<Aim, { at: "any moment" }>): Promise<boolean> {
    switch (aim.at) {
      case "event":
        return this.#nextEvent(({ type }) => type === aim.type);
      case "call":
        return this.#nextEvent(({ type, data }) => type === "TOOL_CALL" && data.name === aim.tool, aim.scenario);
      case "request":
        return this.#nextRequest(aim.request);
    }
  }

  async #nextEvent(test: (event: Event) => boolean, scenario: Scenario | null = null): Promise<boolean> {
    const deadline = Date.now() + AIM_TIMEOUT_MS;
    const seen = new Map(this.#watchers(scenario).map((watcher) => [watcher, watcher.seen.length]));
    while (Date.now() < deadline) {
      for (const watcher of this.#watchers(scenario)) {
        const from = seen.get(watcher) ?? 0;
        if (watcher.seen.slice(from).some(({ event }) => test(event))) return true;
        seen.set(watcher, watcher.seen.length);
      }
      await pause(LOOK_MS);
    }
    return false;
  }

  #nextRequest(request: Request): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (hit: boolean) => {
        clearTimeout(timer);
        this.#onRequest = null;
        resolve(hit);
      };
      const timer = setTimeout(() => end(false), AIM_TIMEOUT_MS);
      this.#onRequest = (sent) => {
        if (sent === request) end(true);
      };
    });
  }

  #watchers(of: Scenario | null) {
    return this.#live()
      .filter(({ options: { scenario } }) => of === null || scenario === of)
      .flatMap(({ watchers }) => watchers);
  }

  #live(): SessionPlay[] {
    return this.#plays().filter(({ state }) => state === "live");
  }
}

function earliest(times: readonly number[]): number | null {
  return times.length === 0 ? null : Math.min(...times);
}
