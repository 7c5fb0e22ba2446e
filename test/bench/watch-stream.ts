import type WebSocket from "ws";
import { HeadReader, type Load } from "./load.ts";
import type { StreamTarget } from "./stream-target.ts";

/** As the client library does. */
const ACK_EVERY_BYTES = 256 * 1024;

export type Streamed = {
  /** From the request to the last client's last frame. */
  seconds: number;
  /** How many frames each client received. */
  frames: number;
  /** From the making of each delta to its arrival at each client, in ms; empty where they were not read. */
  lags: number[];
};

/**
 * Has a target stream a load to so many clients of one conversation.
 *
 * @param read "lags" reads each delta as it arrives; "after" keeps what arrives and reads it at the end, so that the
 *   clients are not what is measured
 * @throws if any client missed a delta
 */
export async function watchStream(
  target: StreamTarget,
  clients: number,
  load: Load,
  read: "lags" | "after",
): Promise<Streamed> {
  const conversation = await target.create();
  const sockets = await Promise.all(Array.from({ length: clients }, () => target.open(conversation)));
  try {
    const watched = sockets.map((socket) => new Watched(socket, target, read === "lags"));
    const [first] = watched;
    if (first === undefined) throw new Error("There must be a client.");
    const started = performance.now();
    target.begin(first.socket, load);
    await Promise.all(watched.map(({ ended }) => ended));
    const seconds = (performance.now() - started) / 1_000;
    for (const client of watched) client.check(load, first);
    return { seconds, frames: first.frames.length, lags: watched.flatMap(({ lags }) => lags) };
  } finally {
    for (const socket of sockets) socket.terminate();
  }
}

class Watched {
  readonly socket: WebSocket;
  readonly ended: Promise<void>;
  readonly lags: number[] = [];
  readonly frames: Buffer[] = [];
  #unacked = 0;
  #next = 0;
  #outOfOrder = false;
  #hasEnded = false;
  readonly #heads = new HeadReader();
  readonly #target: StreamTarget;
  readonly #readsLags: boolean;

  constructor(socket: WebSocket, target: StreamTarget, readsLags: boolean) {
    this.socket = socket;
    this.#target = target;
    this.#readsLags = readsLags;
    this.ended = new Promise((resolve, reject) => {
      socket.on("message", (frame: Buffer) => {
        if (this.#hasEnded) return;
        if (target.isOfStream(frame)) this.#take(frame);
        this.#hasEnded = target.isEnd(frame);
        if (this.#hasEnded) resolve();
      });
      socket.once("close", (code) => reject(new Error(`${target.name} closed a socket with ${code}.`)));
      socket.once("error", reject);
    });
  }

  #take(frame: Buffer): void {
    this.frames.push(frame);
    this.#unacked += frame.byteLength;
    if (this.#unacked >= ACK_EVERY_BYTES) {
      this.#unacked = 0;
      const acknowledgement = this.#target.acknowledgement(frame);
      if (acknowledgement !== null) this.socket.send(acknowledgement);
    }
    if (this.#readsLags) this.#read(frame, this.#target.now());
  }

  #read(frame: Buffer, now: number | null): void {
    for (const { number, at } of this.#heads.read(frame.toString())) {
      this.#outOfOrder ||= number !== this.#next;
      this.#next++;
      if (now !== null) this.lags.push((now - at) / 1_000);
    }
  }

  /** @throws if it has not received all of a load, in order */
  check(load: Load, first: Watched): void {
    // Most received what the first one did. Who took it more slowly has it in other pieces.
    if (this !== first && this.frames.length === first.frames.length && this.#hasSameFrames(first)) return;
    if (!this.#readsLags) for (const frame of this.frames) this.#read(frame, null);
    if (this.#outOfOrder || this.#next !== load.deltas) {
      throw new Error(`A client received ${this.#next} of ${load.deltas} deltas, or in another order.`);
    }
  }

  #hasSameFrames({ frames }: Watched): boolean {
    return this.frames.every((frame, index) => frames[index]?.equals(frame));
  }
}
