import { setTimeout as pause } from "node:timers/promises";
import { type ErrorCode, GatewayError } from "../../src/protocol/errors.ts";
import type { Event, EventOf } from "../../src/protocol/events.ts";
import { type AskedCall, AskedCalls } from "./asked-calls.ts";
import { checkWorkspace } from "./check-workspace.ts";
import { type Gate, Violation } from "./gate.ts";
import type { ChaosHost, Reply, Watcher } from "./host.ts";
import { type Random, seeded } from "./random.ts";
import { CLIENT_TOOL, type Waits } from "./waits.ts";

/** A reply that somebody sent, as often as it took. Times in ms since the epoch. */
export type Given = {
  /** The turn that asks; ids of calls are its own. */
  turnId: string | null;
  reply: Reply;
  /** Of the first try. */
  sentAt: number;
  /** `refused` null: it was acknowledged. Null where no try was answered. */
  outcome: { at: number; refused: ErrorCode | null } | null;
};

export type AnsweringOptions = {
  host: ChaosHost;
  gate: Gate;
  sessionId: string;
  waits: Waits;
  /** Where what is asked is seen; it is not said before it was. */
  watchers: readonly Watcher[];
  /** What everything follows from, with what names the call that asks. */
  seed: readonly (string | number)[];
  onReply(): void;
};

/** Between two looks at what the watchers have seen. */
const LOOK_MS = 5;
/** The share of what is asked of which replies differ, and of that which is looked at closely before it is answered. */
const CONFLICTS = 0.2;
const DENIALS = 0.12;
const LOOKS = 0.1;

/**
 * All who answer what a session asks: up to three for each thing, in any way that there is, at once or one after the
 * other, with the same or with another reply.
 */
export class Answering {
  readonly given: Given[] = [];
  /** Times that the files of a session that waits were compared with its log. */
  looks = 0;
  readonly #options: AnsweringOptions;
  readonly #known = new Set<string>();
  readonly #replying = new Set<Promise<void>>();
  #seen = new Map<Watcher, number>();
  #over = false;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /** Whether a reply is on its way. */
  get isReplying(): boolean {
    return this.given.some(({ outcome }) => outcome === null);
  }

  /** Answers until `stop`. */
  async run(): Promise<void> {
    while (!this.#over) {
      for (const watcher of this.#options.watchers) {
        const { seen } = watcher;
        for (let at = this.#seen.get(watcher) ?? 0; at < seen.length; at++) this.#hear(seen[at]?.event);
        this.#seen.set(watcher, seen.length);
      }
      await Promise.race([pause(LOOK_MS), this.#options.gate.failed]);
    }
  }

  /** Resolves once nobody is about to reply to what was seen so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#replying);
  }

  /** Resolves once nobody replies to anything any more. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.settled();
  }

  #hear(event: Event | undefined): void {
    if (event?.type === "AUTH_REQUIRED" && event.data.kind !== "link") {
      if (this.#isNew(event.data.input_id))
        this.#begin(event.data.message + event.data.tool_use_id, (random) => this.#toInput(event, random));
    } else if (event?.type === "TOOL_CALL" && event.data.executor === "client") {
      const name = `${event.turn_id} ${event.data.id}`;
      if (this.#isNew(name)) this.#begin(name, (random) => this.#toCall(event, random));
    }
  }

  #isNew(id: string): boolean {
    if (this.#known.has(id)) return false;
    this.#known.add(id);
    return true;
  }

  #begin(name: string, reply: (random: Random) => Promise<void>): void {
    const replying = reply(seeded(...this.#options.seed, name)).catch((thrown: unknown) =>
      this.#options.gate.fail(thrown),
    );
    this.#replying.add(replying);
    void replying.then(() => this.#replying.delete(replying));
  }

  async #toInput({ turn_id, data: { input_id, kind } }: EventOf<"AUTH_REQUIRED">, random: Random): Promise<void> {
    if (random.chance(this.#options.waits.unanswered)) return;
    await pause(delay(random));
    if (random.chance(LOOKS)) await this.#look();
    const responses =
      kind === "question"
        ? ["the one answer", "another answer"]
        : random.chance(DENIALS)
          ? ["deny", "allow"]
          : ["allow", "deny"];
    await this.#replyOf(turn_id, random, (other) => ({ input_id, response: responses[other ? 1 : 0] ?? "" }));
  }

  async #toCall(call: EventOf<"TOOL_CALL">, random: Random): Promise<void> {
    const { turn_id, data } = call;
    const tool_use_id = data.id;
    if (random.chance(this.#options.waits.unanswered)) return;
    await pause(delay(random));
    const is_error = random.chance(0.1);
    const reply = (other: boolean): Reply => ({ tool_use_id, content: other ? "found more" : "found it", is_error });
    // Sent once on purpose before it may be.
    const early = this.#options.waits.asked.includes(CLIENT_TOOL) && !this.#mayRun(call);
    if (early) await this.#send(turn_id, reply(false), random);
    while (!this.#mayRun(call)) {
      if (this.#over || this.#isClosed(call)) return;
      await Promise.race([pause(LOOK_MS), this.#options.gate.failed]);
    }
    await this.#replyOf(turn_id, random, reply);
  }

  /** Sends it as one to three people do. */
  async #replyOf(turnId: string | null, random: Random, reply: (other: boolean) => Reply): Promise<void> {
    const differ = random.chance(CONFLICTS);
    const people = differ ? random.int(2, 3) : random.int(1, 3);
    const sending = Array.from({ length: people }, async (_, i) => {
      const own = seeded(random.next(), i);
      if (i > 0 && own.chance(0.5)) await pause(own.int(1, 60));
      await this.#send(turnId, reply(differ && i === 1), own);
    });
    await Promise.all(sending);
  }

  async #send(turnId: string | null, reply: Reply, random: Random): Promise<void> {
    const { host, gate, sessionId, onReply } = this.#options;
    const given: Given = { turnId, reply, sentAt: Date.now(), outcome: null };
    this.given.push(given);
    const how = random.pick(host.replyWays);
    const refused = await gate
      .request(() => {
        onReply();
        return host.reply(sessionId, reply, how);
      })
      .then(
        () => null,
        (thrown: unknown) => {
          if (!(thrown instanceof GatewayError)) throw thrown;
          return thrown.code;
        },
      );
    given.outcome = { at: Date.now(), refused };
  }

  /** Whether the files of a session that waits are those of its log. What happens meanwhile makes it void. */
  async #look(): Promise<void> {
    const { host, gate, sessionId } = this.#options;
    try {
      const before = await gate.request(() => host.log(sessionId));
      const last = before.at(-1);
      if (last?.type !== "STATUS" || last.data.status !== "waiting") return;
      const session = await gate.request(() => host.describe(sessionId));
      const files = await gate.request(() => host.files(sessionId));
      if ((await gate.request(() => host.log(sessionId))).length !== before.length) return;
      const { input_ids, tool_use_ids = [] } = last.data;
      const told = checkWorkspace(before, files);
      const pending = session?.pending_inputs.map((one) => ("input_id" in one ? one.input_id : one.tool_use_id)) ?? [];
      if (
        session?.status !== "waiting" ||
        pending.toSorted().join() !== [...input_ids, ...tool_use_ids].sort().join()
      ) {
        told.push(`waits for ${[...input_ids, ...tool_use_ids]}, and is shown as ${session?.status} for ${pending}`);
      }
      if (told.length > 0) throw new Violation(told.map((text) => `${sessionId}, while it waited: ${text}`).join("\n"));
      this.looks++;
    } catch (thrown) {
      // It may be deleted meanwhile.
      if (!(thrown instanceof GatewayError && thrown.code === "not_found")) throw thrown;
    }
  }

  /** Whether a call of the clients' tool was allowed, as far as a watcher saw, if it has to be. */
  #mayRun(call: EventOf<"TOOL_CALL">): boolean {
    const isAsked = this.#options.waits.asked.includes(CLIENT_TOOL);
    return !isAsked || this.#seenOf(call).some(({ answered }) => answered?.data.response === "allow");
  }

  #isClosed(call: EventOf<"TOOL_CALL">): boolean {
    return this.#seenOf(call).some(({ result }) => result !== null);
  }

  /** The call as each watcher has seen it. */
  #seenOf({ turn_id, data }: EventOf<"TOOL_CALL">): AskedCall[] {
    return this.#options.watchers.flatMap(({ seen }) => {
      const ofTurn = seen.flatMap(({ event }) => (event.turn_id === turn_id ? [event] : []));
      return new AskedCalls(ofTurn).of(data.id) ?? [];
    });
  }
}

/** Most answer in a moment, some let a kill or two pass. */
function delay(random: Random): number {
  if (random.chance(0.3)) return 0;
  return random.chance(0.1) ? random.int(1_000, 2_500) : random.int(10, 400);
}
