import { once } from "node:events";
import { createServer } from "node:http";
import { encodeReply, message, text } from "../support/messages-script.ts";

/** A server that speaks the Messages API, and says when a request has come. */
export class ModelServer implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    this.#arrived(performance.now());
    request.resume();
    response.writeHead(200, { "content-type": "text/event-stream" }).end(REPLY);
  });
  #arrived: (at: number) => void = () => undefined;

  static async start(): Promise<ModelServer> {
    const server = new ModelServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port.");
    return `http://127.0.0.1:${address.port}`;
  }

  /** When the next request comes, by `performance.now()` of this process. */
  nextArrival(): Promise<number> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

const REPLY = encodeReply(message([text("hello")]));
