import { setTimeout as pause } from "node:timers/promises";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { type Counts, counts } from "./counts.ts";

/** What a turn leads to is over when nothing was counted for this long. */
const QUIET_MS = 400;

/** A gateway that counts what it would be billed for. */
export class MeteredGateway {
  readonly url: string;
  readonly token: string;
  readonly #client: ExternalGateway;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
    this.#client = this.client();
  }

  client(): ExternalGateway {
    return new ExternalGateway({ baseUrl: this.url, token: this.token });
  }

  async createSession(): Promise<string> {
    return (await this.#client.createSession()).session_id;
  }

  /** Runs a turn to its end. Returns its events. */
  async run(sessionId: string, user_input: string): Promise<Event[]> {
    return Array.fromAsync(this.#client.execute(sessionId, { user_input }));
  }

  /** What `act` leads to on a session, up to the last thing, the alarm that it leaves behind included. */
  async count(sessionId: string, act: () => Promise<unknown>): Promise<Counts> {
    await this.settle(sessionId);
    await this.#settled();
    await this.#meter("DELETE", "");
    await act();
    await this.#settled();
    await this.settle(sessionId);
    return this.#settled();
  }

  /** Has the alarm of a session go off now, if one is set, so that it does not while something else is counted. */
  async settle(sessionId: string): Promise<void> {
    await this.#meter("POST", `/${sessionId}`);
  }

  async #settled(): Promise<Counts> {
    for (let last = ""; ; ) {
      const text = await this.#meter("GET", "");
      if (text === last) return counts.parse(JSON.parse(text));
      last = text;
      await pause(QUIET_MS);
    }
  }

  async #meter(method: string, path: string): Promise<string> {
    const response = await fetch(`${this.url}/meter${path}`, { method });
    if (!response.ok) throw new Error(`The meter answered ${response.status}.`);
    return response.text();
  }
}
