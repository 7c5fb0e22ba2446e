import {
  CATCH_UP_BEGIN_BYTES,
  CATCH_UP_BEGIN_MS,
  CATCH_UP_PACE_MS,
  CATCH_UP_SILENT_MS,
  CATCH_UP_WINDOW_BYTES,
  UNACKED_TOTAL_MAX_BYTES,
} from "../protocol/limits.ts";
import type { SocketMeter } from "./socket-meter.ts";

type Taken = Pick<SocketMeter, "acknowledges" | "unacked">;

/** A socket that has not been sent all of the log; times in ms since the epoch. */
export type BehindSocket = {
  readonly meter: Taken;
  /** It was sent its first window; else it waits for others. */
  readonly hasBegun: boolean;
  /** When it was last sent a window, or acknowledged something. */
  readonly movedAt: number;
};

/** A client that says what it took has more on its way than it should be sent before it says so again. */
export function isFull({ acknowledges, unacked }: Taken): boolean {
  return acknowledges && unacked >= CATCH_UP_WINDOW_BYTES;
}

/** What sockets were sent as they began, and when, in ms since the epoch; the oldest first. */
export type Begun = { at: number; bytes: number };

/** What counts now of what was sent to those that began. */
function lately(begun: readonly Begun[], now: number): Begun[] {
  return begun.filter(({ at }) => now < at + CATCH_UP_BEGIN_MS);
}

/** When one that waits may begin, so that many that come at once are not all in memory at once. */
export function nextStart(begun: readonly Begun[], now: number): number {
  const counted = lately(begun, now);
  const bytes = counted.reduce((sum, one) => sum + one.bytes, 0);
  return bytes < CATCH_UP_BEGIN_BYTES ? now : (counted[0]?.at ?? now) + CATCH_UP_BEGIN_MS;
}

/** When a socket that has begun is sent more, if it does not acknowledge anything until then. */
export function dueAt({ meter, movedAt }: BehindSocket): number {
  if (!meter.acknowledges) return movedAt + CATCH_UP_PACE_MS;
  return isFull(meter) ? movedAt + CATCH_UP_SILENT_MS : 0;
}

/** How many bytes a socket that is due is sent at least, where there are as many. */
export function windowOf({ meter }: BehindSocket): number {
  return meter.acknowledges && !isFull(meter) ? CATCH_UP_WINDOW_BYTES - meter.unacked : CATCH_UP_WINDOW_BYTES;
}

/** When to look again; null when nobody is behind. */
export function nextLook(behind: readonly BehindSocket[], start: number): number | null {
  if (behind.length === 0) return null;
  const times = behind.map((socket) => (socket.hasBegun ? dueAt(socket) : start));
  return times.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
}

/** What is on its way to clients that say what they took, in bytes. */
function unackedBy(behind: readonly BehindSocket[]): number {
  return behind.reduce((sum, { meter }) => sum + (meter.acknowledges ? meter.unacked : 0), 0);
}

type Behind<Client> = {
  readonly client: Client;
  readonly meter: SocketMeter;
  after: string;
  hasBegun: boolean;
  movedAt: number;
  /** What went past the client since it was last heard of, in bytes. */
  missed: number;
};

/**
 * Who of a session's clients is behind, where in the log, and when each is sent more of it. It is nowhere stored: while
 * somebody is behind a timer waits, and an object with a timer does not sleep.
 */
export class CatchUp<Client extends { readonly meter: SocketMeter }> {
  readonly #sendAfter: (client: Client, after: string, bytes: number) => string | null;
  readonly #cutOff: (client: Client) => void;
  readonly #behind = new Map<Client, Behind<Client>>();
  #begun: Begun[] = [];
  #timer: { handle: ReturnType<typeof setTimeout>; at: number } | null = null;

  /**
   * @param sendAfter sends the log after a position, so many bytes at least; returns where the client is then, null: at the end
   * @param cutOff closes the connection of a client that is too far behind
   */
  constructor(
    sendAfter: (client: Client, after: string, bytes: number) => string | null,
    cutOff: (client: Client) => void,
  ) {
    this.#sendAfter = sendAfter;
    this.#cutOff = cutOff;
  }

  isBehind(client: Client): boolean {
    return this.#behind.size > 0 && this.#behind.has(client);
  }

  /**
   * The client has the log up to `after` only. It is sent nothing at once: where that is found as events are told, those
   * that were committed with them are in the log already, and are told next.
   *
   * @param hasBegun it need not wait for others
   */
  fallBehind(client: Client, after: string, hasBegun: boolean): void {
    const now = Date.now();
    const socket: Behind<Client> = { client, meter: client.meter, after, hasBegun, movedAt: now, missed: 0 };
    this.#behind.set(client, socket);
    this.#wakeAt(hasBegun ? dueAt(socket) : now, now);
  }

  /** Counts an event that went past a client that is behind. Returns false if it is too far behind for it. */
  miss(client: Client, bytes: number): boolean {
    const socket = this.#behind.get(client);
    if (socket === undefined) return true;
    // What a client that never says anything missed is counted when it is sent.
    if (client.meter.acknowledges) socket.missed += bytes;
    return client.meter.isWithinLimit(socket.missed);
  }

  /** The client, which may be behind, has acknowledged something. */
  acknowledged(client: Client): void {
    const socket = this.#behind.get(client);
    if (socket === undefined) return;
    socket.missed = 0;
    socket.movedAt = Date.now();
    this.goOn();
  }

  /** The client has been sent everything, or is gone. */
  leave(client: Client): void {
    if (this.#behind.delete(client) && this.#behind.size === 0) this.#sleep();
  }

  /** Sends those that are behind what they may have now. */
  goOn(): void {
    const now = Date.now();
    const behind = [...this.#behind.values()];
    let unacked = unackedBy(behind);
    const wasTooMuch = unacked >= UNACKED_TOTAL_MAX_BYTES;
    let start = this.#nextStart(unacked, now);
    for (const socket of behind) {
      if ((socket.hasBegun ? dueAt(socket) : start) > now) continue;
      const before = unackedBy([socket]);
      // One that has been silent makes room for those that wait.
      const isTooMuch = wasTooMuch || unacked >= UNACKED_TOTAL_MAX_BYTES;
      if (isTooMuch && isFull(socket.meter)) this.#cutOff(socket.client);
      else this.#sendWindow(socket, now);
      unacked += (this.#behind.has(socket.client) ? unackedBy([socket]) : 0) - before;
      start = this.#nextStart(unacked, now);
    }
    this.#sleep();
    const next = nextLook([...this.#behind.values()], start);
    if (next !== null) this.#wakeAt(next, now);
  }

  /** Where too much is on its way, one that waits may begin once somebody has taken some of it, or was cut off. */
  #nextStart(unacked: number, now: number): number {
    return unacked >= UNACKED_TOTAL_MAX_BYTES ? Number.POSITIVE_INFINITY : nextStart(this.#begun, now);
  }

  #sendWindow(socket: Behind<Client>, now: number): void {
    const { client, meter } = socket;
    const before = meter.unacked;
    const after = this.#sendAfter(client, socket.after, windowOf(socket));
    if (!socket.hasBegun) this.#countBegun(meter.unacked - before, now);
    socket.hasBegun = true;
    socket.movedAt = now;
    if (after === null) this.leave(client);
    else socket.after = after;
  }

  #countBegun(bytes: number, now: number): void {
    if (bytes > 0) this.#begun = [...lately(this.#begun, now), { at: now, bytes }];
  }

  /** The object stays awake until then. That ends, since a client that takes nothing is cut off after a while. */
  #wakeAt(at: number, now: number): void {
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#sleep();
    this.#timer = { handle: setTimeout(() => this.goOn(), Math.max(0, at - now)), at };
  }

  #sleep(): void {
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    this.#timer = null;
  }
}
