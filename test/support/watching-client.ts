import { event as eventSchema } from "../../src/protocol/events.ts";
import { LogFollower } from "./log-follower.ts";
import type { SessionWorld } from "./session-world.ts";

/** A client that follows a session's log, and is cut off whenever the session's process dies. */
export class WatchingClient {
  readonly follower = new LogFollower("0", 0);
  readonly #world: SessionWorld;
  #taken = 0;
  #connected = true;

  constructor(world: SessionWorld) {
    this.#world = world;
  }

  /** Takes what was sent to it since it last looked. */
  receive(): void {
    const sent = this.#world.sent.slice(this.#taken);
    if (this.#connected) for (const event of sent) this.follower.take(event);
    this.#taken += sent.length;
  }

  cutOff(): void {
    this.receive();
    this.#connected = false;
  }

  /** Asks a new process for what it has missed. One that dies meanwhile leaves it cut off. */
  reconnect(): void {
    this.#taken = this.#world.sent.length;
    for (const { json } of this.#world.session.log.replay(this.follower.position)) {
      this.follower.take(eventSchema.parse(JSON.parse(json)));
    }
    this.#connected = true;
  }
}
