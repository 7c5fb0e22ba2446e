import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";

/** What is changed of what one client is given; it is told from the others by its user agent. */
export type Tampering = {
  agent: string;
  /** Each piece of the body of an answer, as it comes. */
  body?: (piece: string, path: string) => string;
  /** Each frame of text on a WebSocket; null leaves it out. */
  frame?: (text: string) => string | null;
};

/** An HTTP and WebSocket proxy on a free port, faithful to all clients but one. */
export class TamperingProxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #tampering: Tampering;
  readonly #server = createServer();
  readonly #sockets = new Set<Socket>();

  private constructor(target: string, tampering: Tampering) {
    this.#target = new URL(target);
    this.#tampering = tampering;
    this.#server.on("connection", (socket: Socket) => this.#hold(socket));
    this.#server.on("request", (incoming, outgoing) => this.#forward(incoming, outgoing));
    this.#server.on("upgrade", (incoming, socket: Socket) => this.#connect(incoming, socket));
  }

  static async before(url: string, tampering: Tampering): Promise<TamperingProxy> {
    const proxy = new TamperingProxy(url, tampering);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // Either side may leave whenever it likes.
    socket.on("error", () => undefined);
  }

  #isMeant({ "user-agent": agent }: IncomingHttpHeaders): boolean {
    return agent === this.#tampering.agent;
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path = "/" } = incoming;
    // What is compressed cannot be changed in between.
    const { "accept-encoding": _, ...headers } = incoming.headers;
    const { hostname, port } = this.#target;
    const alter = this.#isMeant(headers) ? this.#tampering.body : undefined;
    const onward = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
      this.#hold(answer.socket);
      const { "content-length": length, ...others } = answer.headers;
      const sized = alter === undefined && length !== undefined ? { "content-length": length } : {};
      outgoing.writeHead(answer.statusCode ?? 502, { ...others, ...sized });
      // A stream's head comes before its first event.
      outgoing.flushHeaders();
      answer.on("data", (piece: Buffer) => outgoing.write(alter?.(piece.toString(), path) ?? piece));
      answer.on("end", () => outgoing.end());
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  }

  #connect(incoming: IncomingMessage, client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    this.#hold(server);
    // Without extensions frames are what they look like.
    const { "sec-websocket-extensions": _, ...headers } = incoming.headers;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`);
    server.write([`GET ${incoming.url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
    client.pipe(server);
    const alter = this.#isMeant(incoming.headers) ? this.#tampering.frame : undefined;
    if (alter === undefined) server.pipe(client);
    else
      server.on(
        "data",
        alteringFrames(alter, (bytes) => client.write(bytes)),
      );
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("close", () => other.destroy());
    }
  }
}

/** Takes what a server sends on an upgraded connection, whose frames are not masked, and passes it on with other texts. */
function alteringFrames(alter: (text: string) => string | null, pass: (bytes: Buffer) => void) {
  let rest = Buffer.alloc(0);
  let inHead = true;
  return (piece: Buffer) => {
    rest = Buffer.concat([rest, piece]);
    if (inHead) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) return;
      pass(rest.subarray(0, end + 4));
      rest = rest.subarray(end + 4);
      inHead = false;
    }
    for (let frame = firstFrame(rest); frame !== null; frame = firstFrame(rest)) {
      const text = frame.isText ? frame.payload.toString() : null;
      const instead = text === null ? null : alter(text);
      if (text === null || instead === text) pass(rest.subarray(0, frame.size));
      else if (instead !== null) pass(textFrame(instead));
      rest = rest.subarray(frame.size);
    }
  };
}

/** The first whole frame (RFC 6455, 5.2), or null while there is none. */
function firstFrame(bytes: Buffer): { isText: boolean; payload: Buffer; size: number } | null {
  const short = bytes[1] ?? 0;
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < head) return null;
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < head + length) return null;
  return { isText: bytes[0] === 0x81, payload: bytes.subarray(head, head + length), size: head + length };
}

function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(10);
  head[0] = 0x81;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}
