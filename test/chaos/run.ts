import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { bundleWorker } from "./bundle-worker.ts";
import { COVERED_FROM_KILLS, uncovered } from "./coverage.ts";
import { violationsIn } from "./gate.ts";
import { GatewayHost } from "./gateway-host.ts";
import type { ChaosHost } from "./host.ts";
import { InProcessHost } from "./in-process-host.ts";
import { keepEvidence } from "./keep-evidence.ts";
import { ModelServer } from "./model-server.ts";
import { type AloneFigures, playAlone } from "./play-alone.ts";
import { playLimit } from "./play-limit.ts";
import { playHibernation, playLongTurn } from "./play-quiet.ts";
import { playSweep } from "./play-sweep.ts";
import { type Row, rowsOfAlone, rowsOfModel, rowsOfSchedule, tableOf } from "./report.ts";
import { type Played, runSchedule, type Schedule } from "./run-schedule.ts";
import { SHORT_SCENARIOS, shuffledScenarios } from "./scenarios.ts";
import { Trail } from "./trail.ts";

export type HostName = ChaosHost["name"];

export type ChaosOptions = {
  seed: number;
  sessions: number;
  kills: number;
  hosts: readonly HostName[];
  /** Leaves out whatever takes longer than a few seconds. */
  short: boolean;
  /** Where the evidence is left in any case; null: in a temporary folder, and only if something fails. */
  keep: string | null;
  /** Puts something between the run and a host, to see that the run notices. */
  wrap?: (host: ChaosHost) => ChaosHost;
};

/**
 * One thing that was done on one host, and what came of it. There are five:
 *
 * - `the demo model`: the schedule of sessions and kills that the options ask for;
 * - `a model outside` (long runs): a smaller one, whose model calls meet faults and a server that goes away;
 * - `the limit` (long runs, and in-process): a step that is killed three times is given up, a turn that waits is not;
 * - `quiet` (long runs of the gateway): nobody is killed; a turn of 200 s, and sessions that sleep with their clients;
 * - `alone` (long runs of the gateway): kills of sessions that nobody follows.
 *
 * A schedule is shown by what it `played`, any other by its `trail`.
 */
export type Part = {
  name: string;
  violations: string[];
  rows: Row[];
  played: Played | null;
  trail: Trail | null;
};

/** Model calls that meet faults, of those that a server outside answers. */
const FAULT_SHARE = 0.3;
const FAULT_STALL_MS = 1_500;
/** Seldom enough, so that no model call loses all its attempts to faults and outages together. */
const OUTAGE_EVERY_MS = 10_000;
const OUTAGE_MS = 250;
/** Of what does not hold, the first show it. */
const SHOWN_MAX = 20;
/** So that a run has them even where the rest of it is quick. */
const ALONE_ROUNDS_MIN = 3;

/** Runs it all, prints what was checked, and returns whether everything held. */
export async function runChaos(options: ChaosOptions): Promise<boolean> {
  if (options.keep !== null) mkdirSync(options.keep, { recursive: true });
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), "turnpike-chaos-"));
  console.log(`seed ${options.seed}`);
  try {
    for (const name of options.hosts) if (!(await runOn(name, join(folder, name), options))) return false;
    console.log("\nEverything held.");
    return true;
  } finally {
    if (options.keep === null) rmSync(folder, { recursive: true, force: true });
  }
}

async function runOn(name: HostName, folder: string, options: ChaosOptions): Promise<boolean> {
  await using runner = await Runner.create(name, folder, options);
  const parts = await runner.run();
  console.log(`\n${name}\n${tableOf(parts.flatMap(({ rows }) => rows))}`);
  const failed = parts.filter(({ violations }) => violations.length > 0);
  if (failed.length === 0 && options.keep === null) return true;
  for (const { name: part, violations } of failed) {
    console.log(`\nVIOLATED on ${name}, ${part}:\n${violations.slice(0, SHOWN_MAX).join("\n")}`);
    if (violations.length > SHOWN_MAX) console.log(`and ${violations.length - SHOWN_MAX} more`);
  }
  const evidence =
    options.keep === null
      ? mkdtempSync(join(tmpdir(), "turnpike-chaos-failed-"))
      : join(options.keep, `evidence-${name}`);
  await keepEvidence(evidence, options.seed, parts);
  await runner.keepStored(join(evidence, "stored"));
  console.log(`\nThe logs, the frames and the kills lie in ${evidence}`);
  return failed.length === 0;
}

/** The hosts of one kind, and what is done on them. */
class Runner implements AsyncDisposable {
  readonly #name: HostName;
  readonly #folder: string;
  readonly #options: ChaosOptions;
  readonly #modules: string[] | null;
  readonly #model: ModelServer;
  readonly #hosts: ChaosHost[] = [];
  readonly #ending = new AbortController();

  static async create(name: HostName, folder: string, options: ChaosOptions): Promise<Runner> {
    mkdirSync(folder, { recursive: true });
    const modules = name === "gateway" ? await bundleWorker(folder) : null;
    const { seed } = options;
    return new Runner(
      name,
      folder,
      options,
      modules,
      await ModelServer.start({ seed, share: FAULT_SHARE, stallMs: FAULT_STALL_MS }),
    );
  }

  private constructor(
    name: HostName,
    folder: string,
    options: ChaosOptions,
    modules: string[] | null,
    model: ModelServer,
  ) {
    this.#name = name;
    this.#folder = folder;
    this.#options = options;
    this.#modules = modules;
    this.#model = model;
  }

  /** Everything at once, each on a host of its own, until all has ended or one part has failed. */
  async run(): Promise<Part[]> {
    const { seed, sessions, kills, short } = this.#options;
    const parts: Part[] = [];
    const schedule: Schedule = {
      name: "the demo model",
      seed,
      sessions,
      kills,
      atOnce: short ? 4 : 5,
      scenarios: short ? SHORT_SCENARIOS : shuffledScenarios(seed),
      model: "demo",
    };
    let isPlaying = true;
    const main = this.#playSchedule(parts, schedule).finally(() => {
      isPlaying = false;
    });
    const all = [main];
    // Quick where there is no runtime to be started three times more.
    if (!short || this.#name === "in-process") {
      all.push(this.#host("limit").then((host) => this.#play(parts, "the limit", host, playLimit)));
    }
    if (!short) {
      all.push(
        this.#playOutside(parts, {
          ...schedule,
          name: "a model outside",
          sessions: Math.ceil(sessions / 3),
          kills: Math.ceil(kills / 6),
          atOnce: 4,
          scenarios: ["text", "thinking", "tools", "cancel", "queue"],
          model: "claude-chaos",
        }),
      );
      if (this.#name === "gateway")
        all.push(
          this.#playQuiet(parts),
          this.#playAlone(parts, () => isPlaying),
        );
    }
    await Promise.race([Promise.all(all), this.#firstFailure(all)]);
    return parts;
  }

  /** Ends the hosts, and copies what they have stored. */
  async keepStored(folder: string): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.kill()));
    cpSync(this.#folder, folder, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#hosts.map((host) => host[Symbol.asyncDispose]()));
    await this.#model[Symbol.asyncDispose]();
  }

  /** Resolves with the first part that failed; never, if none does. */
  #firstFailure(parts: readonly Promise<Part>[]): Promise<void> {
    return new Promise((resolve, reject) => {
      for (const part of parts) {
        part.then(({ violations }) => {
          if (violations.length > 0) resolve();
        }, reject);
      }
    });
  }

  async #playSchedule(parts: Part[], schedule: Schedule): Promise<Part> {
    const host = await this.#host(schedule.name.replaceAll(" ", "-"));
    const part = partOf(schedule.name);
    parts.push(part);
    const played = await runSchedule(host, schedule, (begun) => {
      part.played = begun;
    });
    part.violations = played.violations;
    part.rows = rowsOfSchedule(played);
    // The other schedule does not do all that there is.
    if (schedule.model === "demo" && schedule.kills >= COVERED_FROM_KILLS && part.violations.length === 0) {
      part.violations.push(...uncovered(played.killer.coverage));
    }
    // A host that is wrapped is one that lies.
    if (!this.#options.short && host instanceof GatewayHost && played.violations.length === 0) {
      const idsOf = (state: "kept" | "removed") =>
        played.plays.filter((play) => play.state === state).map(({ sessionId }) => sessionId);
      const { swept, violations } = await playSweep(host, idsOf("kept"), idsOf("removed"));
      part.violations.push(...violations);
      part.rows.push(["  sessions of which staged bytes were swept", swept]);
    }
    return part;
  }

  /** The schedule of a model that a server outside plays, which is gone for a moment now and then. */
  async #playOutside(parts: Part[], schedule: Schedule): Promise<Part> {
    const over = new AbortController();
    const outages = this.#makeOutages(AbortSignal.any([over.signal, this.#ending.signal]));
    const part = await this.#playSchedule(parts, schedule).finally(() => over.abort());
    await outages;
    part.violations.push(...this.#model.refusals.map((text) => `the model's server refused: ${text}`));
    part.rows.push(...rowsOfModel(this.#model));
    return part;
  }

  async #makeOutages(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(OUTAGE_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#model.outage(OUTAGE_MS);
    }
  }

  async #playQuiet(parts: Part[]): Promise<Part> {
    return await this.#play(parts, "quiet", await this.#gateway("quiet"), async (host, trail) => {
      await host.start();
      const told = await Promise.all([
        playLongTurn(host, trail),
        playHibernation(host, trail, false),
        playHibernation(host, trail, true),
      ]);
      return told.flat();
    });
  }

  async #playAlone(parts: Part[], isPlaying: () => boolean): Promise<Part> {
    const figures: AloneFigures = { rounds: 0, kills: 0, sessions: 0, phases: [], longestMs: 0 };
    const goOn = ({ rounds }: AloneFigures) => rounds < ALONE_ROUNDS_MIN || isPlaying();
    const part = await this.#play(parts, "alone", await this.#host("alone"), (host, trail) =>
      playAlone(host, trail, this.#options.seed, goOn, figures),
    );
    part.rows = rowsOfAlone(figures);
    return part;
  }

  async #play<Host extends ChaosHost>(
    parts: Part[],
    name: string,
    host: Host,
    play: (host: Host, trail: Trail) => Promise<string[]>,
  ): Promise<Part> {
    const trail = new Trail(host);
    const part = { ...partOf(name), trail };
    parts.push(part);
    part.violations = await play(host, trail).catch(violationsIn);
    part.rows = [[name, part.violations.length === 0 ? "holds" : "VIOLATED"]];
    return part;
  }

  async #gateway(name: string): Promise<GatewayHost> {
    if (this.#modules === null) throw new Error("only the gateway has a Worker");
    const host = await GatewayHost.create({
      folder: join(this.#folder, name),
      modules: this.#modules,
      modelUrl: this.#model.url,
    });
    this.#hosts.push(host);
    return host;
  }

  async #host(name: string): Promise<ChaosHost> {
    const { wrap = (one: ChaosHost) => one } = this.#options;
    if (this.#modules !== null) return wrap(await this.#gateway(name));
    const host = new InProcessHost({ folder: join(this.#folder, name), modelUrl: this.#model.url });
    this.#hosts.push(host);
    return wrap(host);
  }
}

function partOf(name: string): Part {
  return { name, violations: [], rows: [], played: null, trail: null };
}
