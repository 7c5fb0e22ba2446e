import { expect, vi } from "vitest";
import type { ModelRequest } from "../../src/engine/ports.ts";
import { stagedNamesOf } from "../../src/local/directory-redo.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import type { AcceptedTurn, Cancelled } from "../../src/protocol/rest.ts";
import type { Session } from "../../src/session/session.ts";
import { deletingSince, writeMeta } from "../../src/session/settings.ts";
import { redosOf } from "../../src/session/transcript.ts";
import { findTurn, isCancelled } from "../../src/session/turn-table.ts";
import { type BlockKind, blockOf } from "./block-kinds.ts";
import { answer } from "./hand-model.ts";
import { HeldFiles } from "./held-files.ts";
import { HeldTools } from "./held-tools.ts";
import { HostAlarm } from "./host-alarm.ts";
import { PacedModel } from "./paced-model.ts";
import { ASKING, giveResult, sayAnswer } from "./play-answers.ts";
import { withdrawTurn } from "./play-withdraw.ts";
import {
  checkLog,
  checkOutcome,
  checkRequest,
  checkSession,
  everythingOf,
  storedProgress,
  storedSteers,
} from "./session-checks.ts";
import { HEAD, type OnBusy, SessionStory } from "./session-story.ts";
import { ALICE, SessionWorld } from "./session-world.ts";
import { expectFault, StatementFault } from "./statement-fault.ts";
import { storedEvents } from "./stored-events.ts";
import { DiskRest, passTicks, restInMemory } from "./ticks.ts";
import { WatchingClient } from "./watching-client.ts";
import type { DirectoryPlace } from "./workspace-directory.ts";

/** A session that has not come to its end after so many timers never will. */
const ENOUGH_TIMERS = 5_000;
const MAX_CALLS = 4;
/** A session that is played upon, with everything around it that moves only when it is told to, and what is to be true of it. */
export class SessionPlay {
  readonly story: SessionStory;
  readonly model = new PacedModel();
  readonly tools = new HeldTools();
  readonly files = new HeldFiles();
  readonly fault = new StatementFault();
  readonly world: SessionWorld;
  readonly #place: DirectoryPlace | null;
  readonly #client: WatchingClient;
  /** The first answer to each key, with its message; null while there was none. */
  readonly #keys = new Map<string, { text: string; mode: OnBusy; answer: AcceptedTurn | null }>();
  #looking = false;
  readonly #disk = new DiskRest();
  // What was found wrong where nobody would hear of it.
  readonly #faults: unknown[] = [];
  readonly #cancels: { session: Session; isAnswered: () => boolean }[] = [];
  readonly #alarm: HostAlarm;
  #count = 0;
  /** Nothing may happen after this. */
  #end: string | null = null;

  constructor(place: DirectoryPlace | null) {
    this.#place = place;
    const callsOf = (turnId: string) => findTurn(this.world.sql, turnId)?.model_calls ?? 0;
    this.story = new SessionStory({ inPart: place !== null, hasCallsLeft: (turnId) => callsOf(turnId) < MAX_CALLS });
    this.model.onRequest = (request) => this.#takeRequest(request);
    this.world = new SessionWorld({
      model: this.model,
      tools: this.tools.tools,
      settings: { max_iterations: MAX_CALLS, fast_model: "quick", ...ASKING },
      beforeUpload: () => this.files.pass().then(() => passTicks(30)),
      beforeFinish: () => this.files.pass(),
      beforeStatement: () => this.#meetFault(),
      ...(place === null ? {} : { place }),
      beforeStep: () => this.#disk.step(),
    });
    this.#client = new WatchingClient(this.world);
    this.#alarm = new HostAlarm(this.world);
    this.world.start();
  }

  get deleted(): boolean {
    return deletingSince(this.world.sql) !== null;
  }

  /** The process dies, and the next one dies after so many statements. */
  async restart(statements = Number.POSITIVE_INFINITY, steps = Number.POSITIVE_INFINITY): Promise<void> {
    this.kill();
    if (this.deleted) return;
    if (this.#place !== null) await this.#place.sweep(redosOf(this.world.sql).flatMap(stagedNamesOf));
    this.sync();
    try {
      this.world.start(statements, steps);
    } catch (thrown) {
      expectFault(thrown);
      this.kill();
      return;
    }
    this.sync();
    this.#look(() => this.#client.reconnect());
  }

  kill(): void {
    this.#client.cutOff();
    this.world.kill();
    this.files.release();
    this.model.leave();
  }

  async submit(mode: OnBusy, key: string | null): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    const kept = key === null ? undefined : this.#keys.get(key);
    const known = kept ?? { text: `m${++this.#count}`, mode, answer: null };
    if (key !== null) this.#keys.set(key, known);
    const { story } = this;
    const message = story.offer(known.text, known.mode);
    const { busy, running } = story;
    const isNew = message.fate === "offered";
    let answer: AcceptedTurn | null = null;
    try {
      answer = this.world.session.submit(ALICE, { user_input: known.text, on_busy: known.mode }, key);
    } catch (thrown) {
      if (thrown instanceof GatewayError) {
        expect([thrown.code, known.mode, busy]).toEqual(["session_busy", "reject", true]);
      } else expectFault(thrown);
    }
    if (isNew && running !== null && storedSteers(this.world).at(-1) === known.text) story.steer(message);
    this.sync();
    if (message.fate === "offered") {
      expect(answer, `an answer to ${known.text}, which was not stored`).toBeNull();
      message.fate = "absent";
    }
    if (answer === null) return;
    if (known.answer !== null) expect(answer, "the answer to a repeat").toEqual(known.answer);
    known.answer = answer;
    if (!isNew) return;
    const steered = { turn_id: running?.turnId, status: "running", steered: true };
    const steers = message.fate === "steering" || message.fate === "joined";
    expect("steered" in answer).toBe(steers);
    expect(answer).toMatchObject(steers ? steered : { status: busy ? "queued" : "running" });
  }

  async cancel(): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    const { story, world } = this;
    const { session } = world;
    story.cancelling = story.running?.turnId ?? null;
    let isAnswered = false;
    const took = ({ turn_id }: Cancelled) => {
      this.sync();
      if (turn_id === null || !this.world.alive) return;
      expect(["cancelled", ...(story.faulty ? ["failed"] : [])], "a cancelled turn").toContain(story.ends.get(turn_id));
    };
    session
      .cancel()
      .then(took, (thrown: unknown) => expectFault(thrown))
      .catch((thrown: unknown) => this.#faults.push(thrown))
      .finally(() => {
        isAnswered = true;
      });
    this.#cancels.push({ session, isAnswered: () => isAnswered });
    this.sync();
    story.cancelling = null;
    const { running } = story;
    if (running !== null) running.cancelled ||= isCancelled(world.sql, running.turnId);
  }

  /** Takes a turn out, one that waits or any other. */
  async withdraw(which: number): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    withdrawTurn(this, which);
  }

  /** A client puts the file, or removes it. Others than the session's own clients do not change a directory here. */
  async put(removed: boolean): Promise<void> {
    if (this.#place !== null || !(await this.#ready())) return;
    this.sync();
    this.story.putting = removed ? null : `${HEAD}${++this.#count};`;
    const conditions = { ifMatch: null, ifNoneMatch: null };
    try {
      if (this.story.putting !== null) this.world.put("f.txt", this.story.putting);
      else this.world.files.remove({ path: "f.txt", conditions });
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) expectFault(thrown);
    }
    this.sync();
  }

  /** The same while the next call uploads what it changed. */
  putInUpload(removed: boolean): void {
    const put = async () => (this.world.alive ? this.put(removed) : undefined);
    this.files.next(() => put().catch((thrown: unknown) => void this.#faults.push(thrown)));
  }

  async say(which: number, response: string): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    sayAnswer(this, which, response);
  }

  async give(which: number, content: string): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    giveResult(this, which, content);
  }

  async alarm(): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    this.#alarm.goOff();
  }

  /** What the hosts do, each in its own way, when a session is deleted. */
  async delete(): Promise<void> {
    if (!(await this.#ready())) return;
    this.sync();
    const { session, sql } = this.world;
    this.#alive(() => {
      session.log.commit((writer) => {
        writer.append({ type: "STATUS", data: { status: "deleted" } }, null);
        writeMeta(this.world.deps.sql, "deleting", String(Date.now()));
      });
    });
    if (deletingSince(sql) === null) return;
    this.sync();
    void session.stop();
    session.index.stop();
    this.#client.receive();
    this.#end = this.#everything();
  }

  /** The model answers what it was asked. */
  answer(blocks: readonly BlockKind[], stopReason: string | undefined, allowed: number): void {
    if (!this.model.asked) return;
    const specs = blocks.map((kind) => blockOf(kind, `c${++this.#count}`));
    this.model.answer(answer(specs, stopReason === undefined ? {} : { stopReason }), allowed);
  }

  /** Until nothing moves by itself. */
  async rest(): Promise<void> {
    await restInMemory();
    if (this.#place !== null) await this.#disk.wait(() => this.#atRest, this.story.faulty);
  }

  get #atRest(): boolean {
    if (!this.world.alive || this.deleted || !this.story.busy) return true;
    this.sync();
    const { running } = this.story;
    const row = running === null ? undefined : findTurn(this.world.sql, running.turnId);
    return (
      row?.status === "waiting" ||
      this.model.waits ||
      this.tools.held ||
      this.files.held ||
      (row?.retry_at ?? 0) > Date.now()
    );
  }

  /** Takes what was stored since. */
  sync(): void {
    for (const event of storedEvents(this.world, this.story.lastSeq)) this.story.take(event);
    const { running } = this.story;
    if (running !== null) this.story.see(storedProgress(this.world, running.turnId));
  }

  /** What must hold at any moment. */
  check(): void {
    this.#look(() => this.#check());
  }

  /** What only looks meets no fault, though the process may die meanwhile. */
  #look(run: () => void): void {
    this.#looking = true;
    try {
      this.#alive(run);
    } finally {
      this.#looking = false;
    }
  }

  #check(): void {
    const [fault] = this.#faults;
    if (fault !== undefined) throw fault;
    expect(this.fault.takeEndless(), "a session that never stops").toBe(false);
    const { story, world } = this;
    if (this.#end !== null) {
      expect(this.#everything()).toBe(this.#end);
      return;
    }
    this.sync();
    this.#client.receive();
    if (this.#place === null) expect([...story.contents]).toEqual([world.file("f.txt")]);
    if (story.busy) expect(this.#alarm.at, "when a busy session is woken").not.toBeNull();
    // Only what somebody is asked may let a session sleep for longer.
    const sleeps = story.running !== null && !story.running.cancelled && story.pending.length > 0;
    if (story.busy && !sleeps) expect(this.#alarm.at).toBeLessThanOrEqual(Date.now() + HEARTBEAT_MS);
    checkSession(this);
  }

  /** Lets everything come to its end, and looks at what became of it. */
  async finish(): Promise<void> {
    this.fault.never();
    this.tools.letGo();
    this.files.release();
    this.model.letGo();
    if (this.deleted) return this.#staysDeleted();
    await this.#runOut();
    // Whoever never had an answer asks again.
    for (const [key, { mode }] of this.#keys) await this.submit(mode, key);
    await this.#runOut();
    this.check();
    const { story, world } = this;
    checkOutcome(story, this.tools);
    for (const { session, isAnswered } of this.#cancels) {
      if (session === world.session) expect(isAnswered(), "a cancel is answered").toBe(true);
    }
    expect([...story.contents]).toContain(world.file("f.txt"));
    this.#client.receive();
    checkLog(this, this.#client.follower);
    const before = everythingOf(this.world);
    const described = world.session.describe();
    await this.restart();
    await this.rest();
    expect(everythingOf(this.world)).toBe(before);
    expect(world.session.describe()).toEqual(described);
    if (this.#place === null) return;
    await this.#place.sweep();
    expect(this.#place.leftovers()).toEqual([]);
  }

  async #runOut(): Promise<void> {
    for (let i = 0; i < ENOUGH_TIMERS; i++) {
      if (!this.world.alive) await this.restart();
      this.world.dieAfter(Number.POSITIVE_INFINITY);
      await this.rest();
      this.check();
      if (!this.world.alive) continue;
      if (!this.story.busy) return;
      if (this.#alarm.at !== null && this.#alarm.at <= Date.now()) await this.alarm();
      else if (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
      else {
        const waits = this.story.pending.length > 0;
        expect(this.story.faulty || waits, "a session needs its heartbeat").toBe(true);
        vi.advanceTimersByTime(Math.max(0, (this.#alarm.at ?? 0) - Date.now()));
        await this.alarm();
      }
    }
    throw new Error("the session does not come to its end");
  }

  async #staysDeleted(): Promise<void> {
    for (let i = 0; i < 6; i++) {
      await this.rest();
      vi.advanceTimersByTime(60_000);
    }
    this.check();
  }

  /** Whether there is a process to ask; one that died is started again. */
  async #ready(): Promise<boolean> {
    if (this.deleted) return false;
    if (!this.world.alive) await this.restart();
    return this.world.alive;
  }

  #takeRequest(request: ModelRequest): void {
    try {
      this.sync();
      expect(this.#end, "a request of a deleted session").toBeNull();
      checkRequest(this, request);
    } catch (thrown) {
      this.#faults.push(thrown);
    }
  }

  /** All that may not change any more, the calls that ran included. */
  #everything(): string {
    return JSON.stringify([everythingOf(this.world), ...this.tools.runs]);
  }

  #alive(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      expectFault(thrown);
    }
  }

  #meetFault(): void {
    if (this.#looking) return;
    this.fault.meet(() => {
      this.story.faulty = true;
    });
  }
}
