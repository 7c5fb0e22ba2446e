import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { nextWake } from "../../src/session/next-wake.ts";
import type { SessionWorld } from "./session-world.ts";
import { expectFault } from "./statement-fault.ts";

/** The one alarm of a session's host, which outlives its processes. */
export class HostAlarm {
  readonly #world: SessionWorld;
  #seen = 0;
  #at: number | null = null;

  constructor(world: SessionWorld) {
    this.#world = world;
  }

  /** When the session is woken next, in ms since the epoch. */
  get at(): number | null {
    for (const time of this.#world.wakes.slice(this.#seen)) this.#set(time);
    this.#seen = this.#world.wakes.length;
    return this.#at;
  }

  /** What the hosts do, each in its own way, when it goes off. */
  goOff(): void {
    this.#seen = this.#world.wakes.length;
    this.#at = null;
    try {
      const { session } = this.#world;
      session.resume();
      const { running, index, answers } = session;
      const never = { stageSweepAt: null, leaseRetryAt: null, socketExpiry: null };
      const due = { running, indexRetryAt: index.retryAt, inputDeadline: answers.deadline, ...never };
      const next = nextWake(due, Date.now());
      if (next !== null) this.#set(next);
    } catch (thrown) {
      expectFault(thrown);
      // An alarm whose process dies goes off again.
      this.#set(this.#world.alive ? Date.now() + HEARTBEAT_MS : Date.now());
    }
    if (!this.#world.alive) this.#set(Date.now());
  }

  /** It goes off at this time or earlier. */
  #set(time: number): void {
    this.#at = Math.min(time, this.#at ?? time);
  }
}
