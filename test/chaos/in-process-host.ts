import { appendFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { Home } from "../../src/local/home.ts";
import { holderOf } from "../../src/local/session-claim.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { type Event, event } from "../../src/protocol/events.ts";
import {
  type AcceptedTurn,
  acceptedTurn,
  type Cancelled,
  type CreateSessionBody,
  cancelled,
  type Session,
  type SubmitTurnBody,
  session,
} from "../../src/protocol/rest.ts";
import { type ChaosHost, NO_REMAINS, type Remains, type Reply, type Watcher } from "./host.ts";
import { InProcessChild } from "./in-process-child.ts";
import { leftBehind } from "./in-process-leftovers.ts";
import { InProcessWatcher } from "./in-process-watcher.ts";
import type { Deed } from "./in-process-wire.ts";
import { readRemains } from "./read-remains.ts";
import { readCopy } from "./stored-copy.ts";

export type InProcessHostOptions = {
  /** Holds all that is stored, and what the processes complained of; removed at the end. */
  folder: string;
  /** A server of the Messages API for sessions with another model than the demo. */
  modelUrl: string | null;
};

/** A process that takes or gives back a session is done with that in a few system calls. */
const TRANSIT_PAUSE_MS = 10;

const filesShape = z.array(z.tuple([z.string(), z.base64()]));

/**
 * The in-process gateway in processes that can be killed. One of them is asked, and goes on with each session that it is
 * asked about. A watcher at a session's door is another, which takes the session when that one dies, as `turnpike resume`
 * does: from then on what concerns the session is asked of it. A kill is one of all processes that hold a session, and
 * of the one that is asked; whoever only follows lives on.
 */
export class InProcessHost implements ChaosHost {
  readonly name = "in-process";
  /** `process`: in the process that is asked; `door`: in one of its own. */
  readonly ways = ["process", "door"] as const;
  /** `process`: whichever process has it; `other`: one that may have to take it over, or finds it held. */
  readonly replyWays = ["process", "other"] as const;
  readonly #env: Record<string, string>;
  readonly #folder: string;
  readonly #home: Home;
  readonly #watchers = new Set<InProcessWatcher>();
  /** The processes of those who watch at a door. */
  readonly #followers = new Map<InProcessWatcher, InProcessChild>();
  #child: InProcessChild | null = null;
  #remains = new Map<string, Remains>();

  constructor({ folder, modelUrl }: InProcessHostOptions) {
    this.#folder = folder;
    this.#home = Home.open(join(folder, "home"));
    const model = modelUrl === null ? {} : { ANTHROPIC_BASE_URL: modelUrl, ANTHROPIC_API_KEY: "chaos-key" };
    this.#env = { TURNPIKE_HOME: this.#home.root, GATEWAY_MODEL: "demo", ...model };
  }

  async start(): Promise<void> {
    const child = this.#open("chaos host");
    await child.ready();
    this.#child = child;
    for (const watcher of this.#watchers) if (watcher.how === "process" && !watcher.ended) watcher.follow(child);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    const followers = [...this.#followers];
    // What is left behind is to be looked at before anybody goes on with it.
    for (const [, follower] of followers) follower.pause();
    const holders = new Set(this.#sessions().map((sessionId) => this.#holderOf(sessionId)));
    const killed = followers.filter(([, { pid }]) => holders.has(pid));
    const dying = [child, ...killed.map(([, follower]) => follower)];
    await Promise.all(dying.map((one) => one?.kill()));
    this.#remains = new Map(this.#sessions().map((sessionId) => [sessionId, this.#read(sessionId)]));
    for (const [, follower] of followers) follower.resume();
    for (const [watcher] of killed) if (!watcher.ended) this.#followIn(watcher);
  }

  remains(sessionId: string): Remains {
    return this.#remains.get(sessionId) ?? NO_REMAINS;
  }

  leftBehind(kept: readonly string[], removed: readonly string[]): string[] {
    return leftBehind(this.#home, kept, removed);
  }

  async createSession(body: CreateSessionBody, key: string): Promise<Session> {
    return session.parse(await this.#asked().ask({ do: "create", body, key }));
  }

  async describe(sessionId: string): Promise<Session | null> {
    const answer = await orGone(this.#asked().ask({ do: "describe", sessionId }));
    return answer === null ? null : session.parse(answer);
  }

  async submit(sessionId: string, body: SubmitTurnBody, key: string): Promise<AcceptedTurn> {
    return acceptedTurn.parse(await this.#ask(sessionId, { do: "submit", sessionId, body, key }));
  }

  async cancel(sessionId: string): Promise<Cancelled> {
    return cancelled.parse(await this.#asked().ask({ do: "cancel", sessionId }));
  }

  async cancelTurn(sessionId: string, turnId: string): Promise<boolean> {
    return z.boolean().parse(await this.#ask(sessionId, { do: "cancelTurn", sessionId, turnId }));
  }

  async reply(sessionId: string, reply: Reply, how: string): Promise<void> {
    const [other] = how === "other" ? this.#followers.values() : [];
    await this.#ask(sessionId, { do: "reply", sessionId, reply }, other);
  }

  async deleteSession(sessionId: string): Promise<void> {
    await orGone(this.#ask(sessionId, { do: "delete", sessionId }));
  }

  async log(sessionId: string): Promise<Event[]> {
    return z.array(event).parse(await this.#asked().ask({ do: "log", sessionId }));
  }

  async files(sessionId: string): Promise<Map<string, Uint8Array>> {
    const files = filesShape.parse(await this.#asked().ask({ do: "files", sessionId }));
    return new Map(files.map(([path, base64]) => [path, Uint8Array.from(Buffer.from(base64, "base64"))]));
  }

  watch(sessionId: string, how: string): Watcher {
    const watcher = new InProcessWatcher(how, sessionId, (stopped) => this.#stopped(stopped));
    this.#watchers.add(watcher);
    if (how === "door") this.#followIn(watcher);
    else if (this.#child !== null) watcher.follow(this.#child);
    return watcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.#watchers) watcher.end(new Error("The host has ended."));
    const children = [this.#child, ...this.#followers.values()];
    this.#child = null;
    this.#followers.clear();
    await Promise.all(children.map((child) => child?.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #open(holder: string): InProcessChild {
    const child = new InProcessChild(holder, this.#folder, this.#env);
    void child.process.ended.then(() => this.#keepComplaints(child));
    return child;
  }

  /** Follows in a process of its own. */
  #followIn(watcher: InProcessWatcher): void {
    const follower = this.#open("chaos follower");
    this.#followers.set(watcher, follower);
    watcher.follow(follower);
  }

  /** Whoever leaves in order gives back what it holds. */
  async #stopped(watcher: InProcessWatcher): Promise<void> {
    this.#watchers.delete(watcher);
    const follower = this.#followers.get(watcher);
    this.#followers.delete(watcher);
    follower?.process.child.stdin?.end();
    await follower?.process.ended;
  }

  #asked(): InProcessChild {
    if (this.#child === null) throw new GatewayError("unavailable", "The host is not running.");
    return this.#child;
  }

  /** Asks whichever process holds the session. @param first is asked before it is known which that is */
  async #ask(sessionId: string, deed: Deed, first?: InProcessChild): Promise<unknown> {
    for (let child = first ?? this.#asked(); ; ) {
      try {
        return await child.ask(deed);
      } catch (thrown) {
        // A turn that runs makes a session busy too; then this process has it.
        const isHeld = thrown instanceof GatewayError && /is held by/.test(thrown.message);
        if (!isHeld) throw thrown;
        await pause(TRANSIT_PAUSE_MS);
        const holder = this.#holderOf(sessionId);
        child = [...this.#followers.values()].find(({ pid }) => pid === holder) ?? this.#asked();
      }
    }
  }

  #sessions(): string[] {
    return readdirSync(this.#home.states).filter((name) => existsSync(this.#home.databaseOf(name)));
  }

  #holderOf(sessionId: string): number | null {
    return holderOf(this.#home.stateOf(sessionId))?.by?.pid ?? null;
  }

  #read(sessionId: string): Remains {
    const stages = this.#home.stagesOf(sessionId);
    const staged = existsSync(stages) ? readdirSync(stages) : [];
    const hasUploads = (stageId: string) => staged.some((name) => name.startsWith(`${stageId}.`));
    return readCopy(this.#home.databaseOf(sessionId), (db) => readRemains(db, hasUploads));
  }

  #keepComplaints({ pid, process: { stderr } }: InProcessChild): void {
    if (stderr === "" || !existsSync(this.#folder)) return;
    appendFileSync(join(this.#folder, "complaints"), `process ${pid}:\n${stderr}\n`);
  }
}

/** Null where there is no such session, or no more. */
async function orGone<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return null;
    throw thrown;
  }
}
