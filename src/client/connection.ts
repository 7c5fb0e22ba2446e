import { bytesOf } from "../protocol/bytes-of.ts";
import { GatewayError } from "../protocol/errors.ts";
import { type ClientFrame, PING_FRAME } from "../protocol/frames.ts";
import type { Socket, SocketConstructor } from "./options.ts";
import { type Understood, understandFrame } from "./understand.ts";

/** A socket that has said nothing for this long after a ping is taken for dead. */
export const PING_EVERY_MS = 15_000;
/** From the start of the handshake to the first frame. */
const CONNECT_TIMEOUT_MS = 15_000;
/** What the platform reports for a socket that broke without a closing handshake. */
const BROKEN = 1006;

/** `bytes` is what the frame took on the wire. */
export type Received = Understood & { bytes: number };

/** Opens a socket that authenticates by header; null where the platform's WebSocket cannot send any, as in browsers. */
export function openSocket(
  url: string,
  headers: Record<string, string>,
  Constructor: SocketConstructor = platformSocket(),
): Socket | null {
  let asked = false;
  const options = {
    get headers() {
      asked = true;
      return headers;
    },
  };
  let socket: Socket | null = null;
  try {
    socket = new Constructor(url, options);
  } catch (thrown) {
    // A constructor that knows no options takes the object for a subprotocol, and refuses it.
    if (asked) throw thrown;
  }
  if (socket !== null && asked) return socket;
  socket?.close();
  return null;
}

/** Opens a socket whose address says who asks. */
export function openPlainSocket(url: string, Constructor: unknown = platformSocket()): Socket {
  if (!isPlainConstructor(Constructor)) throw noSocket();
  return new Constructor(url);
}

function platformSocket(): SocketConstructor {
  // The platforms declare different constructors; `openSocket` finds out whether this one takes headers.
  const platform: unknown = globalThis.WebSocket;
  if (!isConstructor(platform)) throw noSocket();
  return platform;
}

/** Nothing to try again: what is there when the program starts is all that there will be. */
function noSocket(): GatewayError {
  const advice = "Give one as the option `WebSocket`, such as that of the package ws on a Node before version 22.";
  return new GatewayError("invalid_request", `This platform has no WebSocket. ${advice}`);
}

function isConstructor(value: unknown): value is SocketConstructor {
  return typeof value === "function";
}

function isPlainConstructor(value: unknown): value is new (url: string) => Socket {
  return typeof value === "function";
}

/** One socket's frames, in order, kept until they are asked for. A socket that goes silent is noticed and given up. */
export class Connection {
  readonly #socket: Socket;
  readonly #received: string[] = [];
  readonly #deadline: ReturnType<typeof setTimeout>;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #heardSincePing = true;
  #wake: (() => void) | null = null;
  #closeCode: number | null = null;

  constructor(socket: Socket, pingEveryMs = PING_EVERY_MS) {
    this.#socket = socket;
    socket.addEventListener("open", () => this.#startHeartbeat(pingEveryMs));
    socket.addEventListener("message", ({ data }) => this.#hear(data));
    socket.addEventListener("error", () => this.#end(BROKEN));
    socket.addEventListener("close", ({ code }) => this.#end(code));
    this.#deadline = setTimeout(() => this.close(), CONNECT_TIMEOUT_MS);
  }

  /** Why the connection ended; null while it is open. */
  get closeCode(): number | null {
    return this.#closeCode;
  }

  /** The next frame; null once the connection has ended and every frame was handed out. One caller at a time. */
  async next(): Promise<Received | null> {
    for (;;) {
      const text = this.#received.shift();
      if (text === undefined) {
        if (this.#closeCode !== null) return null;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const understood = understandFrame(readJson(text));
      if (understood === "malformed") {
        throw new GatewayError("internal", "The gateway sent a frame that this client does not understand.");
      }
      if (understood !== null) return { ...understood, bytes: bytesOf(text) };
    }
  }

  /** Frames sent into an ended connection are lost, as they would be on the way. */
  send(frame: ClientFrame): void {
    if (this.#closeCode === null) this.#socket.send(JSON.stringify(frame));
  }

  close(): void {
    this.#end(BROKEN);
    this.#socket.close();
  }

  #hear(data: unknown): void {
    if (typeof data !== "string" || this.#closeCode !== null) return;
    clearTimeout(this.#deadline);
    this.#heardSincePing = true;
    this.#received.push(data);
    this.#wake?.();
  }

  #startHeartbeat(everyMs: number): void {
    if (this.#closeCode !== null) return;
    this.#heartbeat = setInterval(() => {
      if (!this.#heardSincePing) this.close();
      else {
        this.#heardSincePing = false;
        this.#socket.send(PING_FRAME);
      }
    }, everyMs);
  }

  #end(code: number): void {
    this.#closeCode ??= code;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#deadline);
    this.#wake?.();
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
