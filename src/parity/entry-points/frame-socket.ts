import { openSocket } from "../../client/connection.ts";
import type { Socket } from "../../client/options.ts";
import type { Event } from "../../protocol/events.ts";
import { type ClientFrame, type ControlFrame, type ServerFrame, serverFrame } from "../../protocol/frames.ts";

type Frame<T extends ControlFrame["type"]> = Extract<ControlFrame, { type: T }>;

type Awaited = { type: ControlFrame["type"]; id: string | undefined; hear(frame: ControlFrame): void };

/** A socket of a session as its frames are on the wire: nothing is asked for again, nothing is left out. */
export class FrameSocket {
  readonly #socket: Socket;
  readonly #events: Event[] = [];
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #awaited = new Set<Awaited>();
  readonly #lost = new AbortController();
  #wake: () => void = () => undefined;

  /** Aborting `signal` closes it. */
  constructor(url: string, headers: Record<string, string>, signal: AbortSignal) {
    const socket = openSocket(url.replace(/^http/, "ws"), headers);
    if (socket === null) throw new Error("this platform's WebSocket takes no headers");
    this.#socket = socket;
    this.#socket.addEventListener("message", ({ data }) => this.#hear(data));
    this.#socket.addEventListener("error", () => this.#lose(new Error("the socket broke")));
    this.#socket.addEventListener("close", ({ code }) => this.#lose(new Error(`the socket was closed with ${code}`)));
    const leave = () => {
      this.#socket.close();
      this.#lose(signal.reason);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }

  send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** The next frame of this type, to the frame with this id. @throws what an `error` frame says, or why there is none */
  answer<T extends ControlFrame["type"]>(type: T, id?: string): Promise<Frame<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<Frame<T>>();
    const awaited: Awaited = {
      type,
      id,
      hear: (frame) => {
        if (isOfType(frame, type)) resolve(frame);
        else if (frame.type === "error") reject(new Error(`${frame.data.message} (${frame.data.code})`));
      },
    };
    this.#awaited.add(awaited);
    const lost = () => reject(this.#lost.signal.reason);
    if (this.#lost.signal.aborted) lost();
    else this.#lost.signal.addEventListener("abort", lost, { once: true });
    return promise;
  }

  /** Tells of each event as it comes, until the function that it returns is called. */
  listen(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All events from the first one on. @throws why there are no more */
  async *events(): AsyncGenerator<Event> {
    for (let next = 0; ; next++) {
      while (this.#events[next] === undefined) {
        this.#lost.signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const event = this.#events[next];
      if (event !== undefined) yield event;
    }
  }

  #hear(data: unknown): void {
    let frame: ServerFrame;
    try {
      frame = serverFrame.parse(JSON.parse(String(data)));
    } catch (thrown) {
      this.#lose(new Error(`a frame is none: ${String(data).slice(0, 200)}`, { cause: thrown }));
      return;
    }
    if (!("seq" in frame)) {
      this.#hearAnswer(frame);
      return;
    }
    this.#events.push(frame);
    for (const listener of this.#listeners) listener(frame);
    this.#wake();
  }

  #hearAnswer(frame: ControlFrame): void {
    const id = "id" in frame ? frame.id : undefined;
    for (const awaited of this.#awaited) {
      if (awaited.id !== id || (awaited.type !== frame.type && frame.type !== "error")) continue;
      this.#awaited.delete(awaited);
      awaited.hear(frame);
    }
  }

  #lose(reason: unknown): void {
    this.#lost.abort(reason);
    this.#wake();
  }
}

function isOfType<T extends ControlFrame["type"]>(frame: ControlFrame, type: T): frame is Frame<T> {
  return frame.type === type;
}
