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
 * @param read "lags" reads each delta at each client; "first" reads the first client's alone, and holds the others' bytes
 *   against its, so that the clients are not what is measured
 * @throws if any client missed a delta
 */
export async function watchStream(
  target: StreamTarget,
  clients: number,
  load: Load,
  read: "lags" | "first",
): Promise<Streamed> {
  const conversation = await target.create();
  const sockets = await Promise.all(Array.from({ length: clients }, () => target.open(conversation)));
  try {
    const watched = sockets.map((socket, index) => new Watched(socket, target, read === "lags" || index === 0));
    const [first] = watched;
    if (first === undefined) throw new Error("There must be a client.");
    const started = performance.now();
    target.begin(first.socket, load);
    await Promise.all(watched.map(({ ended }) => ended));
    const seconds = (performance.now() - started) / 1_000;
    for (const client of watched) client.check(load, first);
    return { seconds, frames: first.frames, lags: watched.flatMap(({ lags }) => (read === "lags" ? lags : [])) };
  } finally {
    for (const socket of sockets) socket.terminate();
  }
}

class Watched {
  readonly socket: WebSocket;
  readonly ended: Promise<void>;
  readonly lags: number[] = [];
  frames = 0;
  #bytes = 0;
  #unacked = 0;
  #next = 0;
  #outOfOrder = false;
  #hasEnded = false;
  readonly #heads = new HeadReader();
  readonly #reads: boolean;

  constructor(socket: WebSocket, target: StreamTarget, reads: boolean) {
    this.socket = socket;
    this.#reads = reads;
    this.ended = new Promise((resolve, reject) => {
      socket.on("message", (data: Buffer) => {
        if (this.#hasEnded) return;
        this.#take(data, target);
        this.#hasEnded = target.isEnd(data);
        if (this.#hasEnded) resolve();
      });
      socket.once("close", (code) => reject(new Error(`${target.name} closed a socket with ${code}.`)));
      socket.once("error", reject);
    });
  }

  #take(frame: Buffer, target: StreamTarget): void {
    if (!target.isOfStream(frame)) return;
    this.frames++;
    this.#bytes += frame.byteLength;
    this.#unacked += frame.byteLength;
    if (this.#unacked >= ACK_EVERY_BYTES) {
      this.#unacked = 0;
      const acknowledgement = target.acknowledgement(frame);
      if (acknowledgement !== null) this.socket.send(acknowledgement);
    }
    if (!this.#reads) return;
    const now = target.now();
    for (const { number, at } of this.#heads.read(frame.toString())) {
      this.#outOfOrder ||= number !== this.#next;
      this.#next++;
      this.lags.push((now - at) / 1_000);
    }
  }

  /** @throws if it has not received all of a load */
  check(load: Load, first: Watched): void {
    if (this.#reads && (this.#outOfOrder || this.#next !== load.deltas)) {
      throw new Error(`A client received ${this.#next} of ${load.deltas} deltas, or in another order.`);
    }
    if (!this.#reads && this.#bytes !== first.#bytes) {
      throw new Error(`A client received ${this.#bytes} bytes in the place of ${first.#bytes}.`);
    }
  }
}
