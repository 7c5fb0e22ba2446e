import type { SessionWorld } from "./session-world.ts";

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
    for (const time of this.#world.wakes.slice(this.#seen)) this.set(time);
    this.#seen = this.#world.wakes.length;
    return this.#at;
  }

  /** It goes off at this time or earlier. */
  set(time: number): void {
    this.#at = Math.min(time, this.#at ?? time);
  }

  /** It has gone off. */
  clear(): void {
    this.#seen = this.#world.wakes.length;
    this.#at = null;
  }
}
