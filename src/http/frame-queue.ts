/** What a socket that breaks off without a word is closed with (RFC 6455, section 7.1.5). */
const ABNORMAL_CLOSURE = 1006;

/** The text frames of a socket, in order, for one reader. They are kept until they are asked for. */
export class FrameQueue {
  readonly #socket: WebSocket;
  readonly #frames: string[] = [];
  #closeCode: number | null = null;
  #wake: (() => void) | null = null;

  /** Accepts the socket at once, since one that waits for that holds up whoever sends. When `signal` aborts, it closes. */
  constructor(socket: WebSocket, signal: AbortSignal) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") return;
      this.#frames.push(data);
      this.#wake?.();
    });
    socket.addEventListener("close", ({ code }) => this.#end(code));
    socket.addEventListener("error", () => this.#end(ABNORMAL_CLOSURE));
    signal.addEventListener("abort", () => this.close(), { once: true });
    socket.accept();
    if (signal.aborted) this.close();
  }

  /**
   * The next frames that have come, one at least, and no more once they have so many characters; none when the socket has
   * closed and all were read.
   */
  async next(chars: number): Promise<string[]> {
    while (this.#frames.length === 0 && this.#closeCode === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    let count = 0;
    for (let taken = 0; taken < chars && count < this.#frames.length; count++) {
      taken += this.#frames[count]?.length ?? 0;
    }
    return this.#frames.splice(0, count);
  }

  /** What the socket was closed with; null while it is open. */
  get closeCode(): number | null {
    return this.#closeCode;
  }

  send(text: string): void {
    if (this.#closeCode === null) this.#socket.send(text);
  }

  /** Closes the socket, or completes a closing that the other side began. Frames that were not asked for are dropped. */
  close(): void {
    this.#frames.length = 0;
    this.#end(ABNORMAL_CLOSURE);
    this.#socket.close(1000);
  }

  #end(code: number): void {
    this.#closeCode ??= code;
    this.#wake?.();
  }
}
