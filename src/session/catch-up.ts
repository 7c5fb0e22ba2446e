import {
  CATCH_UP_BEGIN_MS,
  CATCH_UP_PACE_MS,
  CATCH_UP_SILENT_MS,
  CATCH_UP_SOCKETS_MAX,
  CATCH_UP_WINDOW_BYTES,
} from "../protocol/limits.ts";
import type { SocketMeter } from "./socket-meter.ts";

type Taken = Pick<SocketMeter, "acknowledges" | "unacked">;

/** A socket that has not been sent all of the log; times in ms since the epoch. */
export type BehindSocket = {
  readonly meter: Taken;
  /** When its first window was sent; null: it waits for others. */
  readonly beganAt: number | null;
  /** When it was last sent a window, or acknowledged something. */
  readonly movedAt: number;
};

/** A client that says what it took has more on its way than it should be sent before it says so again. */
export function isFull({ acknowledges, unacked }: Taken): boolean {
  return acknowledges && unacked >= CATCH_UP_WINDOW_BYTES;
}

/** How many sockets that wait may begin now, so that many that come at once are not all in memory at once. */
export function roomToBegin(behind: readonly BehindSocket[], now: number): number {
  return Math.max(0, CATCH_UP_SOCKETS_MAX - begunOf(behind, now).length);
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
export function nextLook(behind: readonly BehindSocket[], now: number): number | null {
  if (behind.length === 0) return null;
  const start = nextStart(behind, now);
  return earliest(behind.map((socket) => (socket.beganAt === null ? start : dueAt(socket))));
}

/** When one that waits may begin. */
function nextStart(behind: readonly BehindSocket[], now: number): number {
  const begun = begunOf(behind, now);
  return begun.length < CATCH_UP_SOCKETS_MAX ? now : earliest(begun) + CATCH_UP_BEGIN_MS;
}

/** When those began that others wait for. */
function begunOf(behind: readonly BehindSocket[], now: number): number[] {
  return behind.flatMap(({ beganAt }) => (beganAt !== null && now < beganAt + CATCH_UP_BEGIN_MS ? [beganAt] : []));
}

function earliest(times: readonly number[]): number {
  return times.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
}

type Behind<Client> = {
  readonly client: Client;
  readonly meter: SocketMeter;
  after: string;
  beganAt: number | null;
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
  readonly #behind = new Map<Client, Behind<Client>>();
  #timer: { handle: ReturnType<typeof setTimeout>; at: number } | null = null;

  /** @param sendAfter sends the log after a position, so many bytes at least; returns where the client is then, null: at the end */
  constructor(sendAfter: (client: Client, after: string, bytes: number) => string | null) {
    this.#sendAfter = sendAfter;
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
    const beganAt = hasBegun ? now : null;
    const socket: Behind<Client> = { client, meter: client.meter, after, beganAt, movedAt: now, missed: 0 };
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
    let room = roomToBegin(behind, now);
    for (const socket of behind) {
      if (socket.beganAt === null ? room-- > 0 : dueAt(socket) <= now) this.#sendWindow(socket, now);
    }
    this.#sleep();
    const next = nextLook([...this.#behind.values()], now);
    if (next !== null) this.#wakeAt(next, now);
  }

  #sendWindow(socket: Behind<Client>, now: number): void {
    const window = windowOf(socket);
    socket.beganAt ??= now;
    socket.movedAt = now;
    const after = this.#sendAfter(socket.client, socket.after, window);
    if (after === null) this.leave(socket.client);
    else socket.after = after;
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
