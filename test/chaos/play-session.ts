import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { EndStatus } from "../../src/protocol/events.ts";
import { Answering, type Given } from "./answering.ts";
import type { Sent } from "./check-accepted.ts";
import { type Gate, Violation } from "./gate.ts";
import type { ChaosHost, Remains, Watcher } from "./host.ts";
import { seeded } from "./random.ts";
import { type Move, type PlannedTurn, planAct, type Scenario } from "./scenarios.ts";
import { type Waits, waitingBody } from "./waits.ts";

/** A message that was sent, and what may have become of it. */
export type PlayedMessage = Sent & {
  turn: PlannedTurn;
  /** How the turn may end that it began. */
  ends: Set<EndStatus>;
  /** Whether anything was asked that ends its turn early, or changes what the turn does. */
  disturbed: boolean;
};

/**
 * A turn takes a few seconds, and a kill costs one; what takes longer than this does not go on. Of one that waits each
 * answer may cost a kill or two.
 */
const STUCK_MS = 240_000;

/** What the killer wants to know of a request that is on its way. */
export type Request = "create" | "submit" | "cancel" | "withdraw" | "delete" | "answer";

export type PlayOptions = {
  host: ChaosHost;
  gate: Gate;
  seed: number;
  number: number;
  scenario: Scenario;
  /** The model of the session: the demo, or one that a server outside plays. */
  model: string;
  /** What its turns ask people and clients; null for nothing. */
  waits: Waits | null;
  watchers: readonly string[];
  /** Whether another act is to follow. */
  goOn(play: SessionPlay): boolean;
  onRequest(request: Request): void;
};

/** One session of a run: what it was told to do, and what was seen of it. */
export class SessionPlay {
  readonly options: PlayOptions;
  readonly messages: PlayedMessage[] = [];
  readonly watchers: Watcher[] = [];
  /** Turns of which an answer said that they were cancelled, or taken out of the queue. */
  readonly toldCancelled = new Set<string>();
  sessionId = "";
  /** `live` may be killed in; the other two are what is left to be checked. */
  state: "new" | "live" | "kept" | "removed" = "new";
  /** Kills that found a turn, or a deletion, under way. */
  hits = 0;
  acts = 0;
  #request: Request | null = null;
  #answering: Answering | null = null;
  /** What a kill has left of a turn that waits. */
  #waited: Remains | null = null;
  /** The turn that was killed twice without progress, and when; null: it may be killed. */
  #stopped: { turnId: string | null; at: number } | null = null;

  constructor(options: PlayOptions) {
    this.options = options;
  }

  get waits(): Waits | null {
    return this.options.waits;
  }

  /** What was replied to what the session asked. */
  get given(): readonly Given[] {
    return this.#answering?.given ?? [];
  }

  /** How often the session's files were looked at while it waited. */
  get looks(): number {
    return this.#answering?.looks ?? 0;
  }

  /** What was asked and is not answered yet. */
  get request(): Request | null {
    return this.#request ?? (this.#answering?.isReplying ? "answer" : null);
  }

  /** Plays until nothing more is to follow; then the session is idle, or gone. */
  async play(): Promise<void> {
    const { host, model, waits, watchers, number } = this.options;
    const key = randomUUID();
    this.state = "live";
    const body = { model, title: `${number}`, ...waitingBody(waits) };
    const { session_id } = await this.#send("create", () => host.createSession(body, key));
    this.sessionId = session_id;
    for (const how of watchers) this.watchers.push(host.watch(session_id, how));
    if (waits !== null) this.#answering = this.#answer(waits);
    await this.#playActs();
    await this.#answering?.stop();
  }

  #answer(waits: Waits): Answering {
    const { host, gate, seed, number, onRequest } = this.options;
    const { sessionId, watchers } = this;
    const onReply = () => onRequest("answer");
    const answering = new Answering({
      ...{ host, gate, sessionId, waits, watchers, onReply },
      seed: [seed, "answers", number],
    });
    // What fails there fails the run.
    answering.run().catch((thrown: unknown) => gate.fail(thrown));
    return answering;
  }

  async #playActs(): Promise<void> {
    const { gate, scenario, waits, number } = this.options;
    do {
      const label = `s${number}a${this.acts}`;
      const moves = planAct(seeded(this.options.seed, "act", number, this.acts), scenario, label, waits !== null);
      this.acts++;
      if (await this.#act(moves)) {
        this.state = "removed";
        return;
      }
      await Promise.race([this.#settled(), gate.failed]);
      // The next turn's calls may have the ids of this one's, once a summary stands for it.
      await this.#answering?.settled();
    } while (this.options.goOn(this));
    this.state = "kept";
  }

  /** Whether the next kill would find a step that was killed twice already. */
  get needsProgress(): boolean {
    const stopped = this.#stopped;
    if (stopped === null || this.state !== "live") return false;
    const progressed = this.watchers.some((watcher) => hasProgressed(watcher, stopped.turnId, stopped.at));
    if (progressed) this.#stopped = null;
    return !progressed;
  }

  /** Tells what a kill has left of it. @param at when the process had ended */
  wasKilled(remains: Remains, at: number): void {
    const { phase, turnId, starts } = remains;
    if (phase !== "idle" && phase !== "no session") this.hits++;
    // A start that finds it waiting is not counted.
    this.#stopped = starts >= 1 && phase !== "deleting" && phase !== "waiting" ? { turnId, at } : null;
    const before = this.#waited;
    this.#waited = phase === "waiting" ? remains : null;
    if (phase !== "waiting" || before === null || before.turnId !== turnId || starts === before.starts) return;
    const [first] = before.asked;
    if (first !== undefined && first.id === remains.asked[0]?.id) {
      throw new Violation(
        `${this.sessionId}: ${turnId} waited, and ${starts} starts are counted, not ${before.starts}`,
      );
    }
  }

  /** Returns whether the session was removed. */
  async #act(moves: readonly Move[]): Promise<boolean> {
    const submitted: (PlayedMessage | null)[] = [];
    for (const move of moves) {
      switch (move.do) {
        case "submit":
          submitted.push(await this.#submit(move.turn, move.onBusy));
          break;
        case "pause":
          await pause(move.ms);
          break;
        case "cancel":
          await this.#cancel();
          break;
        case "withdraw": {
          const message = submitted[move.turn] ?? submitted.at(-1);
          if (message === null || message === undefined) break;
          await this.#withdraw(message);
          break;
        }
        case "delete":
          await this.#send("delete", () => this.#remove());
          return true;
      }
    }
    return false;
  }

  /** Null for a message that was refused since the session was busy. */
  async #submit(turn: PlannedTurn, onBusy: Extract<Move, { do: "submit" }>["onBusy"]): Promise<PlayedMessage | null> {
    const { host } = this.options;
    const key = randomUUID();
    const body = { user_input: turn.input, on_busy: onBusy };
    // Whatever runs when the message arrives; a repeat may find another turn than the first try did.
    if (onBusy === "interrupt") this.#disturbOpen("cancelled");
    if (onBusy === "steer") this.#disturbOpen(null);
    const ends = new Set<EndStatus>(["complete"]);
    const message: PlayedMessage = { body, sentAt: Date.now(), answer: null, turn, ends, disturbed: false };
    try {
      const accepted = await this.#send("submit", () => host.submit(this.sessionId, body, key));
      message.answer = { turn: accepted, at: Date.now() };
      this.messages.push(message);
      return message;
    } catch (thrown) {
      if (onBusy === "reject" && thrown instanceof GatewayError && thrown.code === "session_busy") return null;
      throw thrown;
    }
  }

  /** Whatever runs when the request arrives; after a kill that may be another turn than before. */
  async #cancel(): Promise<void> {
    this.#disturbOpen("cancelled");
    const { turn_id: turnId } = await this.#send("cancel", () => this.options.host.cancel(this.sessionId));
    if (turnId !== null) this.toldCancelled.add(turnId);
  }

  async #withdraw({ ends, answer }: PlayedMessage): Promise<void> {
    if (answer === null) return;
    const { turn_id: turnId } = answer.turn;
    ends.add("cancelled");
    const waited = await this.#send("withdraw", () => this.options.host.cancelTurn(this.sessionId, turnId));
    if (waited) this.toldCancelled.add(turnId);
  }

  /** A deletion that broke off may have been done. */
  async #remove(): Promise<void> {
    try {
      await this.options.host.deleteSession(this.sessionId);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== "not_found") throw thrown;
    }
  }

  #disturbOpen(end: EndStatus | null): void {
    const ended = this.#ended();
    for (const message of this.messages) {
      if (ended.has(message.answer?.turn.turn_id ?? null)) continue;
      message.disturbed = true;
      if (end !== null) message.ends.add(end);
    }
  }

  /** The turns that some watcher saw end. */
  #ended(): Set<string | null> {
    return new Set(
      this.watchers.flatMap(({ seen }) =>
        seen.filter(({ event }) => event.type === "ITERATION_END").map(({ event }) => event.turn_id),
      ),
    );
  }

  async #settled(): Promise<void> {
    const { host, gate } = this.options;
    const [watcher] = this.watchers;
    for (const { answer } of this.messages) {
      const turnId = answer?.turn.turn_id;
      const end = watcher?.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnId);
      await Promise.race([end, stuck(`the turn ${turnId} of session ${this.sessionId} does not end`)]);
    }
    // A message that did not join the turn it was meant for became one of its own.
    const deadline = Date.now() + STUCK_MS;
    for (;;) {
      const session = await gate.request(() => host.describe(this.sessionId));
      if (session?.status === "idle") return;
      if (session === null) throw new Violation(`the session ${this.sessionId} is gone`);
      if (Date.now() > deadline) throw new Violation(`the session ${this.sessionId} stays ${session.status}`);
      await pause(50);
    }
  }

  async #send<T>(request: Request, send: () => Promise<T>): Promise<T> {
    const { gate, onRequest } = this.options;
    this.#request = request;
    try {
      return await gate.request(() => {
        onRequest(request);
        return send();
      });
    } finally {
      this.#request = null;
    }
  }
}

/** Whether a step or a call of the turn was committed at `since` or later, as far as a watcher saw. */
function hasProgressed({ seen }: Watcher, turnId: string | null, since: number): boolean {
  for (let i = seen.length - 1; i >= 0; i--) {
    const event = seen[i]?.event;
    if (event === undefined || Date.parse(event.timestamp) < since) return false;
    if (event.turn_id !== turnId) continue;
    if (event.type === "TOOL_CALL" || event.type === "TOOL_RESULT" || event.type === "ITERATION_END") return true;
  }
  return false;
}

async function stuck(what: string): Promise<never> {
  await pause(STUCK_MS, undefined, { ref: false });
  throw new Violation(what);
}
