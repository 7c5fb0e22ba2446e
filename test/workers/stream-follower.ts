import type { Event } from "../../src/protocol/events.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";
import { LogView } from "./log-view.ts";
import { SocketClient } from "./session-scene.ts";

/** One connection to a session's log: what came over it so far, and waiting for more. */
type Connection = {
  readonly events: Event[];
  /** Returns false if the connection was lost before. */
  until(wanted: (event: Event) => boolean): Promise<boolean>;
  leave(): Promise<void>;
};

/** Opens a connection on a session's log after a cursor, through the gateway's front. */
export type Transport = (sessionId: string, after: string) => Promise<Connection>;

export const overSocket: Transport = async (sessionId, after) => {
  const path = `sessions/${sessionId}/stream?after=${after}`;
  const { webSocket } = await ask("GET", path, { token: ADMIN_TOKEN, headers: { upgrade: "websocket" } });
  if (webSocket === null) throw new Error("There is no socket.");
  const client = new SocketClient(webSocket);
  return {
    events: client.events,
    async until(wanted) {
      try {
        await client.until(wanted);
        return true;
      } catch (thrown) {
        if (client.closed === null) throw thrown;
        return false;
      }
    },
    leave: async () => client.close(),
  };
};

export const overSse: Transport = async (sessionId, after) => {
  const headers = { accept: "text/event-stream", "last-event-id": after };
  const client = new SseClient(await ask("GET", `sessions/${sessionId}/events`, { token: ADMIN_TOKEN, headers }));
  return { events: client.events, until: (wanted) => client.until(wanted), leave: () => client.leave() };
};

/** Events from the start of a log on, and the position after them. */
type Read = { events: Event[]; cursor: string };
const NOTHING: Read = { events: [], cursor: "0" };

/** A client that follows a log over as many connections as it loses. */
export class Follower {
  readonly view = new LogView();
  /** How often it lost its connection. */
  cuts = 0;
  readonly #sessionId: string;
  readonly #transport: Transport;
  #connection: Connection;
  #taken = 0;

  /** Starts from the beginning of the log, or from the end of what was read of it before. */
  static async start(sessionId: string, transport: Transport, read: Read = NOTHING): Promise<Follower> {
    return new Follower(sessionId, transport, await transport(sessionId, read.cursor), read);
  }

  private constructor(sessionId: string, transport: Transport, connection: Connection, read: Read) {
    for (const event of read.events) this.view.take(event);
    this.view.cursor = read.cursor;
    this.#sessionId = sessionId;
    this.#transport = transport;
    this.#connection = connection;
  }

  /** Loses its connection after it took a share (0 to 1) of the frames that came over it, and comes back. */
  async cut(share: number): Promise<void> {
    this.#take(Math.floor(this.#connection.events.length * share));
    await this.#connection.leave();
    this.#taken = 0;
    this.cuts++;
    this.#connection = await this.#transport(this.#sessionId, this.view.cursor);
  }

  /** Follows the log up to an event, over as many connections as break. */
  async until(wanted: (event: Event) => boolean): Promise<void> {
    this.#take(this.#connection.events.length);
    // What it has been given before does not come again.
    while (!this.view.events.some(wanted)) {
      const found = await this.#connection.until(wanted);
      this.#take(this.#connection.events.length);
      if (!found) await this.cut(1);
    }
  }

  leave(): Promise<void> {
    return this.#connection.leave();
  }

  #take(count: number): void {
    for (const frame of this.#connection.events.slice(this.#taken, count)) this.view.take(frame);
    this.#taken = Math.max(this.#taken, count);
  }
}
