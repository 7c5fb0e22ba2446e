import type WebSocket from "ws";
import { HeadReader, type Load } from "./load.ts";
import type { StreamTarget } from "./stream-target.ts";

/** As the client library does. */
const ACK_EVERY_BYTES = 256 * 1024;

/** One socket while a load is streamed to it. It hears what comes from its making on, until it is disposed of. */
export class StreamClient implements Disposable {
  readonly socket: WebSocket;
  /** Resolves with the last frame of what is streamed. Rejects where the socket closes before. */
  readonly ended: Promise<void>;
  /** From the making of each delta to its arrival, in ms; empty where they are read after the end. */
  readonly lags: number[] = [];
  readonly frames: Buffer[] = [];
  /** When the first text came, by `performance.now()`. */
  firstTextAt: number | null = null;
  #unacked = 0;
  #next = 0;
  #outOfOrder = false;
  #hasEnded = false;
  #isComplete = false;
  #stop: () => void = () => undefined;
  readonly #heads = new HeadReader();
  readonly #target: StreamTarget;
  readonly #readsLags: boolean;

  constructor(socket: WebSocket, target: StreamTarget, readsLags: boolean) {
    this.socket = socket;
    this.#target = target;
    this.#readsLags = readsLags;
    this.ended = new Promise((resolve, reject) => {
      const take = (frame: Buffer) => {
        if (this.#hasEnded) return;
        if (target.isOfStream(frame)) this.#take(frame);
        this.#hasEnded = target.isEnd(frame);
        if (!this.#hasEnded) return;
        this.#isComplete = target.isComplete(frame);
        resolve();
      };
      const closed = (code: number) => reject(new Error(`${target.name} closed a socket with ${code}.`));
      socket.on("message", take).on("close", closed).on("error", reject);
      this.#stop = () => socket.off("message", take).off("close", closed).off("error", reject);
    });
  }

  #take(frame: Buffer): void {
    if (this.firstTextAt === null && this.#target.isText(frame)) this.firstTextAt = performance.now();
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
      if (now !== null) this.lags.push((now - at) / this.#target.ticksOfMs);
    }
  }

  /** @throws if it has not received all of a load, in order and to its good end */
  check(load: Load, first: StreamClient): void {
    if (!this.#isComplete) throw new Error("What was streamed did not end well.");
    // Most received what the first one did. Who took it more slowly has it in other pieces.
    if (this !== first && this.frames.length === first.frames.length && this.#hasSameFrames(first)) return;
    if (!this.#readsLags) for (const frame of this.frames) this.#read(frame, null);
    if (this.#outOfOrder || this.#next !== load.deltas) {
      throw new Error(`A client received ${this.#next} of ${load.deltas} deltas, or in another order.`);
    }
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #hasSameFrames({ frames }: StreamClient): boolean {
    return this.frames.every((frame, index) => frames[index]?.equals(frame));
  }
}
