import type { Replayed } from "./event-log.ts";

/** Puts events into frames, each of so many bytes at least but for the last: with 0, each event is a frame. */
export class JoinedFrames {
  readonly #atLeast: number;
  readonly #send: (cursor: string, json: string, bytes: number) => boolean;
  #events: string[] = [];
  #bytes = 0;
  #cursor = "";

  /** @param send gets a frame and where it takes its client; returns false if the client is gone */
  constructor(atLeast: number, send: (cursor: string, json: string, bytes: number) => boolean) {
    this.#atLeast = atLeast;
    this.#send = send;
  }

  /** Returns false if the client is gone. */
  add({ cursor, json, bytes }: Replayed): boolean {
    this.#events.push(json);
    this.#bytes += bytes;
    // That of an event that the client gets, for it acknowledges no other.
    this.#cursor = cursor;
    return this.#bytes < this.#atLeast || this.flush();
  }

  /** Sends what waits. Returns false if the client is gone. */
  flush(): boolean {
    const [events, bytes] = [this.#events, this.#bytes];
    this.#events = [];
    this.#bytes = 0;
    return events.length === 0 || this.#send(this.#cursor, events.join("\n"), bytes);
  }
}
